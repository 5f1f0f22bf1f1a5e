"""The real oracle server on a unix socket; the ledger and the model under evolution are fakes behind real servers."""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import ExitStack, contextmanager

import grpc
import pytest
from msgspec.structs import replace

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.oracle.v1 import events_pb2
from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from services.oracle.main import build
from services.oracle.settings import OracleSettings
from shared.errors import FailedPrecondition, InvalidArgument
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_manifest, read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.annotation import Decision, Summary, Unanswered
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from tests.support.annotation import FakeNeighbours, OracleWorld, leave_unfinished, put_rows, samples
from tests.support.evaluation import put_image
from tests.support.rows import build as row_of
from tests.support.servers import running, short_folder


class House:
    """An oracle service and its neighbours on one state folder."""

    def __init__(self, folder):
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.world = OracleWorld(self.objects)
        self.neighbours = FakeNeighbours(self.objects)
        self.fake_server, self.targets = self.neighbours.serve(folder)
        self.bus = SqliteEventBus(folder / "events.sqlite")
        self.settings = OracleSettings(state_folder=folder / "state", listen=f"unix:{folder}/o.sock")

    @contextmanager
    def server(self):
        """One process's server; used again, it is the next process on the same state."""
        with Channels(self.targets) as channels:
            service = build(self.settings, channels, self.bus, self.objects)
            with running(service, self.bus, self.settings) as channel:
                yield channel

    def known_answers(self, channel):
        request = pb.StartImportKnownAnswersRequest(operation_id="known", benchmark_uri=self.world.benchmark_uri)
        OracleServiceStub(channel).StartImportKnownAnswers(request)
        return await_operation(channel, "known").result_uri

    def request(self, known_uri, operation_id="op", is_cold_start=True, **changes):
        policy = {
            "tau_entropy": 0.5, "target_error_rate": 0.0, "tau_agreement": 0.5, "audit_share": 0.0,
            "is_cold_start": is_cold_start, "question_mode": pb.QUESTION_MODE_CAPABILITY_DRIVEN,
            "questions_per_image": 2, "max_in_flight": 3,
            "simulated_oracle_accuracy": 1.0, "simulated_expert_accuracy": 1.0,
            "oracle": "simulated", "expert": pb.EXPERT_KIND_SIMULATED, "tau_text": 0.5,
            "tau_entropy_description": 0.5, "target_error_rate_description": 0.0,
            "description_tokens": 64,
        }  # fmt: skip
        fields = {
            "operation_id": operation_id, "run_id": "run", "arm": "arm", "round": 0 if is_cold_start else 1,
            "selection_uri": self.world.selection_uri, "model_uri": self.world.model_uri,
            "known_answers_uri": known_uri, "benchmark_uri": self.world.dev_uri, "seed": 7,
        }  # fmt: skip
        for name, value in changes.items():
            (policy if name in policy else fields)[name] = value
        return pb.StartAnnotateRequest(policy=pb.AnnotationPolicy(**policy), **fields)

    def annotate(self, channel, request):
        OracleServiceStub(channel).StartAnnotate(request)
        uri = await_operation(channel, request.operation_id).result_uri
        rows = read_rows(self.objects, uri, Decision)
        return rows, read_rows(self.objects, uri, Unanswered), read_object(self.objects, uri, Summary)

    def reviews(self):
        """The events of reviews that are published, by decision."""
        reviews = []

        def handle(events):
            reviews.extend(events_pb2.AnnotationReviewed.FromString(event.data) for event in events)

        consumer = self.bus.consumer("test", {"medq.oracle.annotation-reviewed.v1": handle}, batch_size=100)
        while consumer.poll(1.0):
            pass
        consumer.close()
        return Counter(review.decision_id for review in reviews)


@pytest.fixture
def house():
    with short_folder() as folder, ExitStack() as stack:
        house = House(folder)
        stack.callback(lambda: house.fake_server.stop(0).wait())
        stack.callback(house.bus.close)
        yield house


def test_in_a_cold_start_the_expert_sees_every_answer(house):
    with house.server() as channel:
        request = house.request(house.known_answers(channel), simulated_oracle_accuracy=0.5)
        rows, unanswered, summary = house.annotate(channel, request)
        reviews = house.reviews()
    assert len(rows) == 8
    assert unanswered == []
    assert [row.decision_id for row in rows] == sorted(row.decision_id for row in rows)
    assert all(row.answer == house.world.truth(row.image_id, row.question) for row in rows)
    assert {row.route for row in rows} == {"review"}
    assert all((row.expert_action == "accept") == (row.reference_answer == row.answer) for row in rows)
    assert set(summary.expert_actions) == {"accept", "edit"}
    assert summary.simulated
    assert all(row.simulated for row in rows)
    assert reviews == {row.decision_id: 1 for row in rows}
    assert len(house.neighbours.generated) == 1


def test_a_cold_start_asks_the_model_too_and_adopts_nothing_of_it(house):
    house.neighbours.answer = lambda row: ("A", -0.25)
    with house.server() as channel:
        rows, _, summary = house.annotate(channel, house.request(house.known_answers(channel)))
    assert {(row.route, row.self_answer, row.entropy) for row in rows} == {("review", "A", 0.25)}
    assert all(row.agreement == float(row.reference_answer == "A") for row in rows)
    assert {row.answer for row in rows} == {"A", "B"}
    assert summary.review_share == 1.0
    assert summary.calibration is None


def test_a_later_round_fits_the_threshold_on_the_reviews_of_the_earlier_ones(house):
    """The model is right where its entropy is low: what it is unsure of is no longer adopted."""
    reviews = [
        row_of(
            Decision, decision_id=f"{i:032x}", entropy=i / 100, self_answer="A", answer="A" if i < 40 else "B",
            agreement=1.0, expert_action="accept" if i < 40 else "edit", route="review",
        )
        for i in range(80)
    ]  # fmt: skip
    earlier = put_rows(house.objects, "decisions", decisions=reviews, unanswered=[])
    logprobs = iter([-0.1, -0.3, -0.6, -0.6] * 2)
    house.neighbours.answer = lambda row: ("A", next(logprobs))
    with house.server() as channel:
        known = house.known_answers(channel)
        request = house.request(known, is_cold_start=False, target_error_rate=0.1, calibration_uris=[earlier])
        rows, _, summary = house.annotate(channel, request)
        manifest = read_manifest(house.objects, await_operation(channel, "op").result_uri)
    fit = summary.calibration
    assert (fit.n_reviewed, fit.n_adopted, fit.n_wrong, fit.target_error_rate) == (80, 40, 0, 0.1)
    assert fit.tau_entropy == pytest.approx(0.395)
    assert fit.upper_error_rate == pytest.approx(1 - 0.05 ** (1 / 40))
    assert {row.entropy for row in rows if row.route == "reference"} == {0.6}
    assert {row.entropy for row in rows if row.route != "reference"} == {0.1, 0.3}
    assert manifest.parents[-1] == earlier


def test_without_reviews_no_threshold_can_be_fitted_and_nothing_of_the_model_is_adopted(house):
    house.neighbours.answer = lambda row: ("A", -0.001)
    with house.server() as channel:
        request = house.request(house.known_answers(channel), is_cold_start=False, target_error_rate=0.1)
        rows, _, summary = house.annotate(channel, request)
    assert {row.route for row in rows} == {"reference"}
    assert (summary.calibration.tau_entropy, summary.calibration.n_reviewed) == (0.0, 0)


def test_a_bad_log_probability_costs_one_question_an_expert_and_not_the_operation(house):
    logprobs = iter([0.5] + [-0.1] * 7)
    house.neighbours.answer = lambda row: ("A", next(logprobs))
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(
            channel, house.request(house.known_answers(channel), is_cold_start=False)
        )
    assert unanswered == []
    bad = [row for row in rows if row.route_reason]
    assert [(row.route, row.entropy) for row in bad] == [("expert", None)]
    assert summary.route_reasons == {bad[0].route_reason: 1}


def test_the_question_of_the_drawn_capability_comes_first(house):
    with house.server() as channel:
        request = house.request(house.known_answers(channel), questions_per_image=1)
        rows, _, _ = house.annotate(channel, request)
    assert {row.question_type for row in rows} == {"what"}


def test_the_seed_rule_asks_other_questions_too(house):
    with house.server() as channel:
        known = house.known_answers(channel)
        request = house.request(known, questions_per_image=1, question_mode=pb.QUESTION_MODE_SEED_RULE)
        rows, _, _ = house.annotate(channel, request)
    assert {row.question_type for row in rows} - {"what"}


@pytest.mark.parametrize(("n", "without_choice"), [(2, 0), (3, 4)])
def test_a_summary_says_of_how_many_images_every_known_question_was_asked(house, n, without_choice):
    with house.server() as channel:
        _, _, summary = house.annotate(channel, house.request(house.known_answers(channel), questions_per_image=n))
    assert summary.n_without_choice == without_choice


def test_later_rounds_route_by_entropy_and_agreement(house):
    def answer(row):
        number = house.world.image_uris.index(row.image_uri)
        wrong = "C" if len(row.options) > 2 else "A"
        # Confident and right, confident and wrong, uncertain, without a readable choice.
        return [("A", -0.1), (wrong, -0.1), ("A", -2.0), (None, -0.1)][number]

    house.neighbours.answer = answer
    with house.server() as channel:
        request = house.request(house.known_answers(channel), is_cold_start=False)
        rows, _, summary = house.annotate(channel, request)
    routes = {row.image_id: row.route for row in rows}
    in_order = [routes[uri.removeprefix("sha256:")] for uri in house.world.image_uris]
    assert in_order == ["self", "expert", "reference", "expert"]
    assert all(row.answer == house.world.truth(row.image_id, row.question) for row in rows)
    assert {row.entropy for row in rows} == {0.1, 2.0}
    assert [row.self_answer for row in rows if row.agreement is None] == [None, None]
    assert {row.route_reason for row in rows if row.self_answer is None} == {
        "the model is confident, and no choice or quality level can be read from its reply"
    }
    assert summary.review_share == 0.5
    assert house.neighbours.generated[0].sampling.temperature == 0


def test_an_audit_of_everything_finds_what_the_oracle_got_wrong(house):
    house.neighbours.answer = lambda row: ("A", -9.0)
    with house.server() as channel:
        known = house.known_answers(channel)
        request = house.request(known, is_cold_start=False, audit_share=1.0, simulated_oracle_accuracy=0.0)
        rows, _, summary = house.annotate(channel, request)
    assert {(row.route, row.audited_route, row.expert_action) for row in rows} == {("audit", "reference", "edit")}
    error = summary.residual_error
    assert (error.value, error.n, error.n_wrong, error.population) == (1.0, 8, 8, 0)
    assert error.n_sources == len({row.source_id for row in rows})
    assert error.low == pytest.approx(0.025 ** (1 / error.n_sources))
    assert summary.by_route["reference"].review_share == summary.by_route["reference"].share == 1.0
    assert summary.by_route["reference"].error == error


def test_what_nobody_knows_is_unanswered_and_never_guessed(house):
    strangers = [put_image(house.objects, 90), put_image(house.objects, 91)]
    rows = samples(strangers[:1]) + samples(strangers[1:], modality="fundus")
    rows[1] = replace(rows[1], sample_id="sample-9")
    selection_uri = put_rows(house.objects, "selection", samples=rows)
    with house.server() as channel:
        request = house.request(house.known_answers(channel), selection_uri=selection_uri)
        rows, unanswered, summary = house.annotate(channel, request)
    assert rows == []
    assert Counter(row.reason for row in unanswered) == {
        "the oracle does not know the question": 2,
        "no question is known for the image, and its modality has no template": 1,
    }
    assert summary.account["expert"].calls == 0
    assert summary.account["oracle"].usd == 0


def test_calls_are_reserved_within_the_limit_in_flight_and_what_waits_for_experts_as_it_is_queued(house):
    with house.server() as channel:
        house.annotate(channel, house.request(house.known_answers(channel), run_id="r-1"))
    ledger = house.neighbours
    assert len(ledger.reserved) == len(set(ledger.reserved)) == 12
    assert ledger.most_in_flight_of["oracle"] == 3
    assert ledger.most_in_flight_of["expert"] == 8
    assert ledger.in_flight == set()
    assert all(key.startswith("r-1/arm/0/") for key in ledger.reserved)
    assert {cost.kind: cost.is_simulated for cost in ledger.settled} == {"oracle": True, "expert": True}
    assert {cost.expert_seconds for cost in ledger.settled if cost.kind == "expert"} == {30.0}
    assert all(cost.usd > 0 and cost.tokens > 255 for cost in ledger.settled if cost.kind == "oracle")


def test_without_a_run_no_ledger_is_asked(house):
    with house.server() as channel:
        rows, _, _ = house.annotate(channel, house.request(house.known_answers(channel), run_id=""))
    assert len(rows) == 8
    assert house.neighbours.reserved == []


def test_a_spent_budget_ends_the_calls_and_says_so(house):
    house.neighbours.limit = 8  # four samples, and the first three reviews
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(channel, house.request(house.known_answers(channel)))
    assert len(rows) == 3
    assert {row.reason for row in unanswered} == {"The budget is spent."}
    assert len(unanswered) == 5
    assert summary.stopped == {"oracle": "", "expert": "The budget is spent."}


def test_the_same_request_gives_the_same_bytes_whatever_the_run(house):
    with house.server() as channel:
        known = house.known_answers(channel)
        uris = []
        for name in ("one", "two"):
            request = house.request(known, operation_id=name, run_id=name, simulated_oracle_accuracy=0.5)
            house.annotate(channel, request)
            uris.append(await_operation(channel, name).result_uri)
    assert uris[0] == uris[1]
    manifest = read_manifest(house.objects, uris[0], "decisions")
    assert manifest.parents == (house.world.selection_uri, known, house.world.dev_uri, house.world.model_uri)
    assert "one" not in json.dumps(manifest.configuration)


def test_an_unknown_dataset_is_the_operations_typed_failure(house):
    with house.server() as channel:
        request = house.request(known_uri=house.world.dev_uri)
        with pytest.raises(InvalidArgument, match="known-answers"):
            house.annotate(channel, request)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("selection_uri", "x"),
        ("known_answers_uri", ""),
        ("benchmark_uri", "sha256:1"),
        ("model_uri", ""),
        ("calibration_uris", ["x"]),
        ("tau_entropy", -1.0),
        ("tau_entropy", math.inf),
        ("tau_entropy", 1e308),
        ("tau_agreement", 1.5),
        ("audit_share", float("nan")),
        ("target_error_rate", 1.1),
        ("question_mode", pb.QUESTION_MODE_UNSPECIFIED),
        ("questions_per_image", 0),
        ("description_tokens", 0),
        ("max_in_flight", 0),
        ("max_in_flight", 1001),
        ("tau_text", 1.1),
        ("tau_entropy_description", -1.0),
        ("target_error_rate_description", 1.1),
        ("oracle", ""),
        ("oracle", "http://elsewhere"),
        ("expert", pb.EXPERT_KIND_UNSPECIFIED),
        ("expert", 9),
        ("simulated_oracle_accuracy", 1.1),
        ("simulated_expert_accuracy", -0.1),
        ("operation_id", ""),
        ("operation_id", "x" * 196),
        ("run_id", "r" * 101),
        ("arm", "a" * 81),
        ("round", 2**31),
    ],
)
def test_a_bad_field_is_refused_at_once_by_name(house, field, value):
    with house.server() as channel:
        request = house.request(house.world.dev_uri, **{field: value})
        with pytest.raises(grpc.RpcError) as caught:
            OracleServiceStub(channel).StartAnnotate(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert from_rpc_error(caught.value).field.endswith(field)


def test_the_operation_is_listed_and_another_request_of_its_id_refused(house):
    with house.server() as channel:
        known = house.known_answers(channel)
        house.annotate(channel, house.request(known))
        listed = operations_pb2_grpc.OperationsServiceStub(channel).ListOperations(
            operations_pb2.ListOperationsRequest()
        )
        with pytest.raises(grpc.RpcError) as caught:
            OracleServiceStub(channel).StartAnnotate(house.request(known, seed=8))
    assert [operation.kind for operation in listed.operations] == ["Annotate", "ImportKnownAnswers"]
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize("fail_after", [0, 3, 7, 10])
def test_after_a_restart_every_effect_is_single(house, fail_after):
    with house.server() as channel:
        known = house.known_answers(channel)
        undisturbed, _, summary = house.annotate(channel, house.request(known, operation_id="first", run_id="first"))
        ledger = house.neighbours
        ledger.reserved.clear()
        ledger.settled.clear()
        ledger.fail_after = fail_after
        with pytest.raises(FailedPrecondition):
            house.annotate(channel, house.request(known))
    leave_unfinished(house.folder / "state" / "oracle" / "oracle.sqlite", "op")
    ledger.fail_after = 10**9
    with house.server() as channel:
        rows, _, summary_again = house.annotate(channel, house.request(known))
        reviews = house.reviews()
    assert rows == undisturbed
    assert summary == summary_again
    assert len(ledger.reserved) == len(set(ledger.reserved)) == 12
    assert {cost.key for cost in ledger.settled} == set(ledger.reserved)
    assert reviews == {row.decision_id: 2 for row in rows}  # once in each of the two runs


@pytest.mark.parametrize("fail_after", [3, 10])
def test_an_operation_that_takes_up_a_failed_one_asks_nothing_again(house, fail_after):
    """A run that goes on after a failure asks for the same work under another operation id."""
    ledger = house.neighbours
    with house.server() as channel:
        known = house.known_answers(channel)
        ledger.fail_after = fail_after
        with pytest.raises(FailedPrecondition):
            house.annotate(channel, house.request(known, operation_id="op"))
        ledger.fail_after = 10**9
        rows, _, _ = house.annotate(channel, house.request(known, operation_id="op/2"))
        house.annotate(channel, house.request(known, operation_id="op/3"))
        reviews = house.reviews()
    assert len(ledger.reserved) == len(set(ledger.reserved)) == 12
    assert reviews == {row.decision_id: 1 for row in rows}
