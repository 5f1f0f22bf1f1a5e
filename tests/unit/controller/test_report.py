import dataclasses
import json
import re
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from services.controller.configuration.choices import QUESTION_MODES, STRATEGIES
from services.controller.domain.comparisons import ArmGain, RoundGain
from services.controller.domain.ledger import Cost, Entry, totals
from services.controller.domain.report import assemble
from services.controller.domain.round_facts import ArmFacts, RoundFacts
from services.controller.report.page import render
from shared.objects.folder import FolderObjectStore
from shared.rows.evaluation import Unscored
from shared.statistics import Interval
from shared.stop_reasons import STOP_REASONS
from tests.support.loop_services import put_image
from tests.support.reports import MEASURED, configuration, decided, full_round
from tests.support.rows import build

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())


@pytest.fixture
def report():
    arms = [
        ArmFacts("failure_driven", "failure_driven", "capability_driven", "rounds", [full_round("0" * 64)]),
        ArmFacts("random", "random", "capability_driven", None, [RoundFacts(0)]),
    ]
    return assemble(configuration(), arms, MEASURED)


def test_a_report_fits_its_schema(report):
    jsonschema.validate(report, SCHEMA)
    jsonschema.validate(assemble(configuration(), [], MEASURED), SCHEMA)


def test_the_schema_has_every_strategy_way_to_ask_and_reason_to_stop():
    allowed = SCHEMA["$defs"]["arm"]["properties"]
    assert set(allowed["strategy"]["enum"]) == set(STRATEGIES)
    assert set(allowed["questions"]["enum"]) == set(QUESTION_MODES)
    assert set(allowed["stop_reason"]["enum"]) == {None, *STOP_REASONS}


def test_no_path_and_no_cost_stands_outside_measured(report):
    outside = json.dumps({key: value for key, value in report.items() if key != "measured"})
    assert '"/' not in outside
    assert "usd" not in outside.replace("max_usd", "")
    assert report["measured"]["paths"]["model"] == "/m"


def test_a_report_counts_routes_actions_and_drops(report):
    round_ = report["arms"]["failure_driven"]["rounds"][0]
    assert round_["annotation"]["routes"] == {"review": 1, "self": 1}
    assert round_["annotation"]["actions"] == {"edit": 1}
    assert round_["annotation"]["n_simulated"] == 2
    assert round_["annotation"]["agreement"] == 1.0
    assert round_["annotation"]["by_route"]["self"]["error"]["n_sources"] == 1
    assert round_["annotation"]["calibration"]["n_reviewed"] == 210
    assert round_["dataset"] == {"n_samples": 3, "n_new": 2, "n_replay": 1, "dropped": {"x": 2}}
    training = round_["training"]
    assert (training["n_steps"], training["first_loss"], training["last_loss"]) == (7, 2.0, 1.0)
    assert not training.keys() & {"loss_curve", "settings"}


def test_cells_come_before_what_is_only_reported_the_worst_first(report):
    failures = report["arms"]["failure_driven"]["rounds"][0]["failures"]
    assert [row["capability"] for row in failures["capabilities"]] == ["b:y", "a:x+b:y", "a:x", "modality:ct"]
    assert failures["n_merged"] == 2


def test_a_report_says_what_was_found_and_how_rich_the_draw_is(report):
    selection = report["arms"]["failure_driven"]["rounds"][0]["selection"]
    assert [row["name"] for row in selection["found"]] == ["p000"]
    assert {row["cell"]: row["ratio"] for row in selection["richness"]["cells"]} == {
        "modality:ct+attribute:metal_artifact": 2.0, "modality:ct+attribute:noise": 0.0,
    }  # fmt: skip


def test_what_the_loop_has_not_reached_is_null(report):
    assert report["arms"]["random"]["stop_reason"] is None
    assert report["arms"]["random"]["rounds"][0]["test"] is None
    assert not report["is_complete"]


def test_a_report_says_what_is_simulated(report):
    assert [part["part"] for part in report["simulated"]] == ["oracle", "expert"]


def test_the_page_shows_the_images_and_needs_nothing_beside_it(tmp_path):
    objects = FolderObjectStore(tmp_path)
    image_id = put_image(objects).removeprefix("sha256:")
    arms = [ArmFacts("<b>", "random", "seed_rule", "plateau", [full_round(image_id), full_round("0" * 64)])]
    page = render(assemble(configuration(), arms, MEASURED), objects)
    assert page.count("data:image/png;base64,") == 1  # the other image is not in the store
    assert page.count("<svg") == 4  # accuracy on test and on dev, and who answered in each of two rounds
    assert "simulated" in page
    assert "<b>" not in page
    assert not any(f'{name}="http' in page for name in ("src", "href"))
    assert "plateau" in page
    assert "modality:ct+attribute:metal_artifact" in page
    assert "only because the oracle is simulated" in page
    assert "the model&#39;s: it is sure and agrees with the oracle" in page
    assert "0.0 % [0.0, 97.5] (few sources: 1) (0 of 1)" in page
    assert "below an entropy of 0.188 nats" in page
    assert "no choice can be read from its reply: 1." in page


def test_the_page_says_why_an_endpoints_bill_may_be_lower(tmp_path):
    paid = [Entry(Cost(key, "oracle", usd=1.5, is_usage_unstated=key == "a"), 1, "settled") for key in "ab"]
    for costs, n_told in ((paid, 1), (paid[1:], 0)):
        report = assemble(configuration(), [], {**MEASURED, "ledger": totals(costs)})
        page = " ".join(render(report, FolderObjectStore(tmp_path)).split())
        assert page.count("Of 1 paid calls the endpoint did not state what was used.") == n_told
        assert (
            page.count("US$ 1.5000: the endpoint&#39;s bill") + page.count("US$ 1.5000: the endpoint's bill") == n_told
        )


def test_the_page_has_what_experts_worked_by_arm_and_round(tmp_path):
    arms = [ArmFacts(name, "random", "seed_rule", "rounds", [full_round("0" * 64)]) for name in ("long", "short")]
    worked = [{"seconds": 120.0 * n, "is_simulated": True} for n in (1, 60)]
    measured = {**MEASURED, "expert_time_by_round": {"long": worked, "short": worked[:1]}}
    page = " ".join(render(assemble(configuration(), arms, measured), FolderObjectStore(tmp_path)).split())
    table = page[page.index("<th>time of experts</th><th") :]
    assert re.findall(r'class="n">([^<]*)<', table[: table.index("</table>")]) == [
        "round 0", "round 1", "2 min", "2.0 h", "2 min", "–",
    ]  # fmt: skip


def test_the_page_says_where_no_threshold_was_found(tmp_path):
    facts = full_round("0" * 64)
    fit = replace(facts.summary.calibration, n_adopted=0, tau_entropy=0.0, upper_error_rate=None)
    facts = dataclasses.replace(facts, summary=replace(facts.summary, calibration=fit))
    page = render(
        assemble(configuration(), [ArmFacts("a", "random", "seed_rule", "x", [facts])], MEASURED),
        FolderObjectStore(tmp_path),
    )
    assert "never counted as sure" in page
    fit = replace(fit, n_adopted=80, is_met=False, upper_error_rate=0.12)
    facts = dataclasses.replace(facts, summary=replace(facts.summary, calibration=fit))
    arms = [ArmFacts("a", "random", "seed_rule", "x", [facts])]
    page = render(assemble(configuration(), arms, MEASURED), FolderObjectStore(tmp_path))
    assert "That is more than the 10.0 % that were allowed" in page


def test_the_page_says_how_much_was_readable_and_why_a_round_is_not_promoted(tmp_path):
    facts = full_round("0" * 64)
    lost = [{"modality": "ct", "loss": None, "allowance": 0.03}, {"modality": "mri", "loss": 0.5, "allowance": 0.03}]
    decision = {**facts.decision, "is_promoted": False, "regressions": lost}
    arms = [ArmFacts("a", "random", "seed_rule", "regression", [dataclasses.replace(facts, decision=decision)])]
    report = assemble(configuration(), arms, MEASURED)
    jsonschema.validate(report, SCHEMA)
    page = " ".join(render(report, FolderObjectStore(tmp_path)).split())
    assert "62.5 %" in page
    assert "ct could be evaluated before, and could not now." in page
    assert "mri lost 50.0 % against round 0, and may lose 3.0 %." in page


def promoted_round(*rounds, stop_reason="rounds"):
    arms = [ArmFacts("a", "random", "seed_rule", stop_reason, rounds)]
    promoted = assemble(configuration(), arms, MEASURED)["arms"]["a"]["promoted"]
    return promoted and (promoted["round"], promoted["dev"] and promoted["dev"]["value"])


def test_the_best_promoted_round_comes_out_of_an_arm():
    assert promoted_round(decided(0, 0.5), decided(1, 0.7), decided(2, 0.6)) == (1, 0.7)
    assert promoted_round(decided(0, 0.5), decided(1, 0.9, is_promoted=False)) == (0, 0.5)


def test_an_arm_that_stopped_before_a_decision_gives_back_the_base_model():
    assert promoted_round(RoundFacts(0)) == (0, None)
    assert promoted_round(RoundFacts(0), stop_reason=None) is None


def test_report_and_page_say_what_the_dev_set_can_tell_and_what_was_gained_on_test(tmp_path):
    gain = Interval(0.1, 0.05, 0.15, 9, 3)
    facts = dataclasses.replace(decided(1, 0.5), test_gain=RoundGain(gain, gain))
    arms = [ArmFacts("a", "random", "seed_rule", "rounds", [decided(0, 0.5), facts])]
    report = assemble(configuration(), arms, MEASURED, [ArmGain("a", "b", 1, gain)])
    jsonschema.validate(report, SCHEMA)
    assert report["dev_set"]["n_sources"] == 4
    assert "8 items of 4 sources, 5 answers each" in report["dev_set"]["note"]
    assert report["arms"]["a"]["rounds"][1]["test_gain"]["over_base"]["value"] == 0.1
    page = " ".join(render(report, FolderObjectStore(tmp_path)).split())
    assert "10.0 % [5.0, 15.0] (few sources: 3)" in page
    assert "Fewer than 10 sources" in page
    assert "sha256:x" in page


def test_what_could_not_be_evaluated_is_named_item_by_item(tmp_path):
    rows = {
        "dev": [build(Unscored, item_id="7", run=run, reason="<lost>") for run in range(3)],
        "test": [build(Unscored, item_id="9")],
    }
    facts = dataclasses.replace(full_round("0" * 64), unscored=rows)
    report = assemble(configuration(), [ArmFacts("a", "random", "seed_rule", "rounds", [facts])], MEASURED)
    jsonschema.validate(report, SCHEMA)
    named = report["arms"]["a"]["rounds"][0]["unscored"]
    assert [(one["split"], one["item_id"], one["n_runs"]) for one in named] == [("dev", "7", 3), ("test", "9", 1)]
    page = render(report, FolderObjectStore(tmp_path))
    assert "What could not be evaluated" in page
    assert "&lt;lost&gt;" in page


def test_the_page_of_a_run_that_has_just_begun_can_be_shown(tmp_path):
    arms = [ArmFacts("random", "random", "seed_rule", None, [RoundFacts(0)])]
    page = render(assemble(configuration(), arms, MEASURED), FolderObjectStore(tmp_path))
    assert "<svg" not in page


@pytest.mark.parametrize(
    ("oracle", "expert", "simulated", "said"),
    [
        ("simulated", "simulated", ["oracle", "expert"], ["oracle is simulated", "expert is simulated"]),
        ("gpt-4o", "simulated", ["expert"], ["endpoint gpt-4o", "expert is simulated"]),
        ("gpt-4o", "none", [], ["endpoint gpt-4o", "No expert reviewed"]),
        ("simulated", "review", ["oracle"], ["oracle is simulated", "queue of reviews"]),
    ],
)
def test_a_report_says_by_name_who_annotated_and_what_of_it_was_simulated(oracle, expert, simulated, said):
    told = assemble(configuration(oracle, expert), [], {})
    assert [one["part"] for one in told["simulated"]] == simulated
    assert [one["name"] for one in told["annotators"]] == [oracle, expert]
    assert all(words in one["text"] for words, one in zip(said, told["annotators"], strict=True))
