"""Where a run stands, in words."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from medq.controller.v1.controller_pb2 import Run
from medq.operations.v1 import operations_pb2 as pb
from shared.rpc.channels import Channels
from web.calls import Services
from web.console.sparks import latest, spark
from web.console.standing import standings, time_left
from web.pages import part
from web.sessions import Session

HOSTILE = '"><script>alert(1)</script>'


def standing(**said):
    """Of a run whose step no service can be asked about."""
    with Channels({}) as channels:
        return standings(Services(channels, Session("ann", (), "", 2e9), 8.0, ""), [Run(run_id="r", **said)])[0]


def operation(done, total, seconds, state=pb.OPERATION_STATE_RUNNING):
    progress = pb.Progress(done=done, total=total, unit="images")
    return pb.Operation(
        state=state,
        progress=progress,
        create_time=Timestamp(seconds=1000),
        update_time=Timestamp(seconds=1000 + seconds),
    )


@pytest.mark.parametrize(
    ("done", "total", "seconds", "told"),
    [
        (50, 100, 60, "about a minute"),
        (10, 100, 120, "about 18 min"),
        (1, 4, 3600, "about 3.0 h"),
        (0, 100, 60, ""),
        (100, 100, 60, ""),
        (5, 0, 60, ""),
    ],
)
def test_the_time_that_is_left_follows_from_what_is_done(done, total, seconds, told):
    assert time_left(operation(done, total, seconds)) == told


def test_a_step_that_rests_has_no_time_left():
    assert time_left(operation(50, 100, 60, pb.OPERATION_STATE_PENDING)) == ""


@pytest.mark.parametrize(
    ("step", "told", "n_done"),
    [
        ("", "starting", 0),
        ("ingest_pool", "preparing its data", 0),
        ("evaluate_test", "evaluating", 0),
        ("evaluate_further.site_b", "evaluating", 0),
        ("evaluate_dev.1", "evaluating", 0),
        ("decide", "evaluating", 0),
        ("annotate", "annotating", 3),
        ("train", "training", 5),
    ],
)
def test_the_present_step_is_lit_and_those_before_it_are_done(step, told, n_done):
    found = standing(state="running", step=step, service="oracle", operation_id="o")
    assert found.state == told
    assert [one.state for one in found.steps].count("done") == n_done


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("a: rounds; b_c: plateau", "a: all rounds are done; b c: plateau: the last rounds gained too little"),
        ("The folder is gone.", "The folder is gone."),
        ("", ""),
    ],
)
def test_why_a_run_ended_is_said_in_words(message, told):
    assert standing(state="succeeded", message=message).reason == told


def test_what_services_say_is_escaped():
    run = {"state": "failed", "message": HOSTILE, "arm": HOSTILE}
    run["scores"] = [{"arm": HOSTILE, "split": "test", "value": 0.5, "n": 4}]
    found = standing(**run)
    told = part("console/standing.html", standing=found) + spark(found.run)
    assert HOSTILE not in told
    assert "&lt;script&gt;" in told


def test_a_run_that_was_not_measured_has_no_curve():
    run = Run(scores=[{"arm": "a", "split": "test", "n": 0}, {"arm": "a", "split": "dev", "value": 0.5}])
    assert (spark(run), latest(run)) == ("", None)


def test_the_arm_that_is_no_random_one_is_told():
    scores = [{"arm": arm, "split": "test", "value": value, "n": 4} for arm, value in (("ours", 0.7), ("random", 0.5))]
    assert latest(Run(scores=scores)).value == pytest.approx(0.7)


def timed(*steps):
    """Times of steps, each a name, a begin and an end in seconds."""
    return [
        {"step": name, "begin_time": Timestamp(seconds=begin), "end_time": Timestamp(seconds=end)}
        for name, begin, end in steps
    ]


def test_done_steps_say_how_long_they_took_and_what_went_on_at_once_counts_once():
    shards = [("evaluate_dev.0", 100, 130), ("evaluate_dev.1", 100, 150), ("evaluate_dev", 160, 170)]
    times = timed(*shards, ("evaluate_test", 200, 204), ("mine_failures", 204, 210))
    found = standing(state="running", step="select_samples", arm="a", step_times=times)
    assert [one.took for one in found.steps] == ["1 min 04 s", "6 s", "", "", "", ""]
    assert found.took == "1 min 10 s"
    told = " ".join(part("console/standing.html", standing=found).split())
    assert "its steps took 1 min 10 s so far" in told
    assert '</span>mine failures</strong> <span class="note">6 s</span>' in told


def test_a_run_that_ended_after_an_evaluation_says_that_the_other_steps_were_not_needed():
    found = standing(state="succeeded", step="evaluate_test", step_times=timed(("evaluate_dev", 0, 5)))
    assert [one.state for one in found.steps] == ["done"] + ["unneeded"] * 5
    assert "not needed" in part("console/standing.html", standing=found)


def test_steps_whose_times_nobody_noted_are_done_all_the_same():
    found = standing(state="succeeded", step="evaluate_test")
    assert ([one.state for one in found.steps], found.took) == (["done"] * 6, "")
