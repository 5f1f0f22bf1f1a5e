"""The evaluation service on a real server, with a model that answers by a rule and an embedding service that hashes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest

from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1 import evaluation_pb2_grpc as pb_grpc
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from services.evaluation import main
from services.evaluation.settings import EvaluationSettings
from shared.errors import (
    AlreadyExists,
    Cancelled,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import RowT, read_array, read_manifest, read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.annotation import Generation, Question
from shared.rows.benchmark import Item, Rejection
from shared.rows.evaluation import Answer, Scores, Unscored
from shared.rows.failures import Anchor, CapabilityErrorRate, ClusteringRow, Failure, PrototypeRow
from shared.rows.images import Image, Input
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from tests.support.chat import ChatJudge, ScriptedChat
from tests.support.evaluation import (
    ENCODER_ID,
    RuleModel,
    hashed_unit_vector,
    object_file,
    put_dataset,
    put_image_set,
    put_model,
)
from tests.support.rows import build
from tests.support.servers import running, short_folder

LEVELS = (0, 50, 100, 150, 200, 250)
TABLE = "index\tquestion\tA\tB\tC\tanswer\tmodality\tattribute\n"


class HashingEmbedding(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Embeds texts by their hash and notes how many came at a time."""

    def __init__(self):
        self.sizes = []
        self.encoders = set()

    def EmbedTexts(self, request, context):
        self.sizes.append(len(request.texts))
        self.encoders.add(request.encoder)
        vectors = np.stack([hashed_unit_vector(text, 3) for text in request.texts])
        return embedding_pb2.EmbedTextsResponse(vectors=vectors.astype("<f4").tobytes(), dimension=3)


class LeakageGate(retrieval_pb2_grpc.RetrievalServiceServicer):
    """Finds the leaks that a test names, by image id, and notes what it was asked; without leaks it cannot say."""

    def __init__(self, leaks):
        self.leaks, self.asked = leaks, []

    def CheckLeakage(self, request, context):
        self.asked.append(request)
        if self.leaks is None:
            raise FailedPrecondition("The guarded set has no hashes.")
        found = [retrieval_pb2.Leak(image_id=i, reason=self.leaks[i]) for i in request.image_ids if i in self.leaks]
        return retrieval_pb2.CheckLeakageResponse(leaks=found)


class World:
    """A state folder with an image set, a model, and a service that can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.image_set = put_image_set(self.objects, LEVELS)
        self.model_uri = put_model(self.objects)
        self.model = RuleModel(lambda prompt, sampling: "A")
        self.loaded: list[Path] = []
        self.embedding = HashingEmbedding()
        self.chat = ScriptedChat(lambda request: '{"grade": 2}')

    def load(self, folder: Path) -> RuleModel:
        self.loaded.append(folder)
        return self.model

    def open_judge(self, endpoint: str, run_id: str, work_id: str) -> ChatJudge:
        if endpoint != self.chat.name:
            raise NotFound("There is no endpoint of this name.", field="judge", value=endpoint)
        return ChatJudge(self.chat)

    @contextmanager
    def serving(self, **overrides: object) -> Iterator[tuple[pb_grpc.EvaluationServiceStub, grpc.Channel]]:
        settings = EvaluationSettings(
            state_folder=self.folder,
            listen=f"unix:{self.folder}/e.sock",
            drain_seconds=0.2,
            threads=4,
            **{"batch_answers": 4, **overrides},
        )
        bus = SqliteEventBus(self.folder / "events.sqlite")
        targets = {name: f"unix:{self.folder}/{name[0]}.sock" for name in ("gate", "model")}
        with Channels({"embedding": targets["model"], "retrieval": targets["gate"]}) as channels:
            self.service = main.build(settings, channels, bus, self.objects, self.load, self.open_judge)
            with running(self.service, bus, settings) as channel:
                yield pb_grpc.EvaluationServiceStub(channel), channel
        bus.close()

    @contextmanager
    def embedding_serving(self) -> Iterator[None]:
        server = grpc.server(ThreadPoolExecutor(2))
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(self.embedding, server)
        server.add_insecure_port(f"unix:{self.folder}/m.sock")
        server.start()
        yield
        server.stop(0).wait()

    @contextmanager
    def gate_serving(self, leaks: dict[str, str] | None) -> Iterator[LeakageGate]:
        gate = LeakageGate(leaks)
        server = grpc.server(ThreadPoolExecutor(2), interceptors=[ErrorInterceptor("fake")])
        retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server(gate, server)
        server.add_insecure_port(f"unix:{self.folder}/g.sock")
        server.start()
        yield gate
        server.stop(0).wait()

    def table(self, *rows: str, header: str = TABLE) -> str:
        path = self.folder / "items.tsv"
        path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return str(path)

    def lose(self, item_id: str, damaged: bytes | None = None) -> bytes:
        """Take the image of an item out of the store, or put other bytes in its place; the bytes that were there."""
        path = self._image_file(item_id)
        whole = path.read_bytes()
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        return whole

    def restore(self, item_id: str, whole: bytes) -> None:
        path = self._image_file(item_id)
        path.unlink(missing_ok=True)
        path.write_bytes(whole)

    def _image_file(self, item_id: str) -> Path:
        image_of = {row.name: row.image_id for row in self.rows(self.image_set, Input)}
        return object_file(self.folder, f"sha256:{image_of[item_id]}")

    def rows(self, uri: str, row: type[RowT]) -> list[RowT]:
        return read_rows(self.objects, uri, row)


@pytest.fixture
def world():
    with short_folder() as folder:
        yield World(folder)


def finish(channel, answer):
    return await_operation(channel, answer.operation_id, wait_seconds=1).result_uri


def import_request(world, items_uri, operation_id="import", **changes):
    fields = {"items_uri": items_uri, "image_set_uri": world.image_set, "split": "dev", **changes}
    return pb.StartImportBenchmarkRequest(operation_id=operation_id, **fields)


def benchmark(world, stub, channel):
    """Six items on six images: right answers A, B, A, B, A, B."""
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t\t{'AB'[n % 2]}\tct\tblur" for n in range(6)]
    return finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows), "benchmark")))


def evaluate_request(world, dev, operation_id="evaluate", **changes):
    fields = {
        "run_id": "r", "arm": "full", "round": 1, "model_uri": world.model_uri, "benchmark_uri": dev,
        "n_runs": 2, "extractor": pb.EXTRACTOR_STRICT,
        "sampling": pb.Sampling(temperature=1, top_p=1, max_new_tokens=8, seed=5),
        **changes,
    }  # fmt: skip
    return pb.StartEvaluateRequest(operation_id=operation_id, **fields)


def mine_request(world, evaluation_uri, benchmark_uri, operation_id="mine", **changes):
    fields = {
        "evaluation_uri": evaluation_uri, "benchmark_uri": benchmark_uri, "image_set_uri": world.image_set,
        "gamma": 0.6, "visual_weight": 0.5, "max_clusters": 4, "n_runs": 2,
        "axes": ["modality", "attribute"], "min_cell_items": 1, "min_prototype_size": 1, **changes,
    }  # fmt: skip
    return pb.StartMineFailuresRequest(operation_id=operation_id, **fields)


def test_an_import_keeps_what_is_an_item_and_reports_the_rest(world):
    rows = [
        "2\tWhich?\tBlur\tNone\tNaN\tnone\tMRI\tblur",
        "0\tWhich?\tBlur\tNoise\t\t1\t\t",
        "1\tWhich?\tBlur\tNoise\t\tD\t\t",
        "3\tWhich?\tBlur\t\t\tA\t\t",
        "broken\tWhich?\tBlur\tNoise\t\tA\t\t",
        "absent\tWhich?\tBlur\tNoise\t\tA\t\t",
    ]
    with world.serving() as (stub, channel):
        uri = finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows))))
        again = finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows), "again")))
    assert again == uri
    items = world.rows(uri, Item)
    assert [(item.item_id, item.answer, item.options) for item in items] == [
        ("0", "B", {"A": "Blur", "B": "Noise"}),
        ("2", "B", {"A": "Blur", "B": "None"}),
    ]
    assert (items[0].modality, items[0].source_id, items[0].split) == ("ct", "s0", "dev")
    report = world.rows(uri, Rejection)
    assert [row.name for row in report] == ["1", "3", "absent", "broken"]
    assert all(row.reason and row.remedy for row in report)
    assert read_manifest(world.objects, uri, "benchmark").counts == {"items": 2, "rejected": 4}


def test_items_about_images_that_touch_a_guarded_set_are_refused(world):
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t\tA\tct\tblur" for n in range(6)]
    image_of = {int(row.name): row.image_id for row in world.rows(world.image_set, Input) if row.status == "stored"}
    guards = [put_image_set(world.objects, (7,))]
    request = import_request(world, world.table(*rows), guard_uris=guards, phash_distance=2, twin_similarity=0.5)
    with world.serving() as (stub, channel), world.gate_serving({image_of[1]: "patient", image_of[4]: "twin"}) as gate:
        uri = finish(channel, stub.StartImportBenchmark(request))
    assert [row.item_id for row in world.rows(uri, Item)] == ["0", "2", "3", "5"]
    refused = [(row.name, row.reason) for row in world.rows(uri, Rejection)]
    assert refused == [("1", "leak: patient with a guarded set"), ("4", "leak: twin with a guarded set")]
    assert all(row.remedy for row in world.rows(uri, Rejection))
    (asked,) = gate.asked
    assert (asked.image_set_uris, asked.guard_uris) == ([world.image_set], guards)
    assert (asked.phash_distance, asked.twin_similarity) == (2, 0.5)


def test_a_guarded_import_that_cannot_be_checked_makes_no_benchmark(world):
    request = import_request(world, world.table("0\tSharp?\tYes\tNo\t\tA\tct\tblur"), guard_uris=[world.image_set])
    with world.serving() as (stub, channel), world.gate_serving(None):
        answer = stub.StartImportBenchmark(request)
        with pytest.raises(FailedPrecondition, match="no hashes"):
            finish(channel, answer)


@pytest.mark.parametrize(
    ("header", "rows", "error", "text"),
    [
        ("index\tquestion\tA\tB\n", ["0\tq\tx\ty"], InvalidArgument, "no column answer among its 4"),
        (TABLE, ["0\tq\tx\ty\t\tA\t\t", "0\tq\tx\ty\t\tA\t\t"], InvalidArgument, "more than once: lines 2, 3"),
        (TABLE, ["9\tq\tx\ty\t\tA\t\t"], FailedPrecondition, "No row of the table is an item"),
        (TABLE, [], FailedPrecondition, "it is empty"),
    ],
)
def test_a_table_that_cannot_be_used_fails_with_a_remedy(world, header, rows, error, text):
    with world.serving() as (stub, channel):
        answer = stub.StartImportBenchmark(import_request(world, world.table(*rows, header=header)))
        with pytest.raises(error, match=text) as caught:
            await_operation(channel, answer.operation_id)
    assert caught.value.remedy


def test_a_missing_table_is_not_found(world):
    with world.serving() as (stub, channel):
        answer = stub.StartImportBenchmark(import_request(world, f"{world.folder}/none.tsv"))
        with pytest.raises(NotFound):
            await_operation(channel, answer.operation_id)


def test_a_table_outside_the_input_roots_is_refused_at_once(world):
    with world.serving(input_roots=(world.folder / "tables",)) as (stub, _):
        with pytest.raises(grpc.RpcError) as caught:
            stub.StartImportBenchmark(import_request(world, world.table()))
        assert isinstance(from_rpc_error(caught.value), PermissionDenied)


def test_an_evaluation_scores_every_answer(world):
    texts = {"0": "A", "1": "A", "2": "Yes", "3": "B) No", "4": "I cannot tell", "5": "The answer is B."}
    world.model.rule = lambda prompt, sampling: texts[prompt.item_id]
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    rows = world.rows(uri, Answer)
    assert [(row.item_id, row.run) for row in rows] == [(str(n), run) for n in range(6) for run in range(2)]
    first = {row.item_id: row for row in rows if row.run == 0}
    assert [first[str(n)].choice for n in range(6)] == ["A", "A", "A", "B", None, "B"]
    assert [first[str(n)].correct for n in range(6)] == [True, False, True, True, None, True]
    assert (first["4"].scored, first["4"].answer, first["0"].gold) == (False, "I cannot tell", "A")
    assert (first["0"].model, first["0"].arm, first["0"].round, first["0"].seed) == (
        world.model_uri, "full", 1, 5,
    )  # fmt: skip
    assert (first["3"].tokens, first["3"].logprob_sum) == (5, -2.5)
    scores = read_object(world.objects, uri, Scores)
    overall = scores.perception.overall
    assert (overall.value, overall.n, overall.unscored) == (pytest.approx(8 / 12), 12, 0)
    assert (overall.scored, overall.coverage) == (0.8, pytest.approx(10 / 12))
    assert overall.low <= overall.value <= overall.high
    counts = read_manifest(world.objects, uri).counts
    assert counts == {"answers": 12, "items": 6, "unreadable": 2, "unscored": 0}
    assert world.rows(uri, Unscored) == []
    assert scores.perception.by_modality["ct"].n == 6
    assert scores.extractors.used == "strict"
    # "Yes" is nothing to the published reading.
    assert scores.extractors.disagreement.value == pytest.approx(1 / 6)


GOOD, USABLE, REJECT = (
    f"Words. Overall, the quality of this image is {level}." for level in ("good", "usable", "reject")
)


def described_benchmark(world, stub, channel):
    """Questions 0 to 2, with the right answers A, B, A, and descriptions 3 to 5 in one table."""
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t{'AB'[n % 2]}\t\tct" for n in range(3)]
    rows += [f"{n}\t\t\t\t\t{level}\tmri" for n, level in ((3, GOOD), (4, USABLE), (5, REJECT))]
    table = world.table(*rows, header="index\tquestion\tA\tB\tanswer\tdescription\tmodality\n")
    return finish(channel, stub.StartImportBenchmark(import_request(world, table, "described")))


def answers_and_describes(prompt, sampling):
    return {"3": GOOD, "4": "", "5": GOOD}.get(prompt.item_id, "A")


def test_questions_and_descriptions_of_one_table_are_scored_apart(world):
    world.model.rule = answers_and_describes
    world.chat = ScriptedChat(lambda request: '{"grade": 1}' if "reject." in request.text else '{"grade": 2}')
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        request = evaluate_request(world, dev, judge="scripted", description_tokens=64)
        uri = finish(channel, stub.StartEvaluate(request))
    scores = read_object(world.objects, uri, Scores)
    assert (scores.perception.overall.n, scores.perception.overall.value) == (6, pytest.approx(2 / 3))
    assert sorted(scores.perception.by_question_type) == ["yes_no"]
    described = scores.description
    assert (described.overall.value, described.overall.n) == (pytest.approx((8 + 0 + 4) / 3), 6)
    assert described.level_accuracy.value == pytest.approx((2 + 0 + 0) / 3)
    assert (described.judge, described.pass_sum) == ("scripted, prompt 1", 5)
    assert sorted(described.anchors) == ["contrary", "faithful", "partial"]
    row = {(one.item_id, one.run): one for one in world.rows(uri, Answer)}
    assert [row[name, 0].correct for name in "345"] == [True, None, False]
    assert [row[name, 0].evaluated for name in "345"] == [True, True, True]
    assert (row["3", 1].level, row["3", 1].gold, row["3", 1].judgement.completeness) == ("good", GOOD, 2)
    assert world.rows(uri, Unscored) == []


def test_a_description_may_be_longer_than_an_answer(world):
    longest = {}

    def note(prompt, sampling):
        longest[prompt.item_id] = sampling.max_new_tokens
        return "A"

    world.model.rule = note
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, description_tokens=64)))
    assert longest == {**dict.fromkeys("012", 8), **dict.fromkeys("345", 64)}


def test_without_a_judge_descriptions_are_unscored_by_name_and_their_levels_are_read(world):
    world.model.rule = answers_and_describes
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    unscored = world.rows(uri, Unscored)
    assert [(row.item_id, row.run) for row in unscored] == [("3", 0), ("3", 1), ("5", 0), ("5", 1)]
    assert {row.reason for row in unscored} == {"No judge is named for descriptions."}
    described = read_object(world.objects, uri, Scores).description
    assert (described.overall.n, described.overall.unscored, described.judge) == (2, 4, "")
    assert (described.level_accuracy.n, described.anchors) == (6, {})


def test_a_benchmark_of_descriptions_alone_has_levels_without_a_judge(world):
    world.model.rule = lambda prompt, sampling: USABLE
    table = world.table(*(f"{n}\t{GOOD}" for n in range(3)), header="index\tdescription\n")
    with world.serving() as (stub, channel):
        dev = finish(channel, stub.StartImportBenchmark(import_request(world, table, "alone")))
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    scores = read_object(world.objects, uri, Scores)
    assert (scores.perception.overall.n, scores.perception.overall.value) == (0, None)
    assert scores.description.level_accuracy.value == 1.0


def test_an_endpoint_that_the_site_does_not_have_is_refused_before_the_model_is_asked(world):
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        answer = stub.StartEvaluate(evaluate_request(world, dev, judge="gpt-9"))
        with pytest.raises(NotFound):
            finish(channel, answer)
    assert world.model.asked == []


def test_failed_descriptions_are_mined_beside_failed_questions(world):
    world.model.rule = answers_and_describes
    world.chat = ScriptedChat(lambda request: '{"grade": 1}')
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = described_benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev, judge="scripted")))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    failed = {row.item_id: row for row in world.rows(uri, Failure)}
    assert sorted(failed) == ["1", "3", "4", "5"]
    assert "question_type:description" in failed["3"].capabilities
    assert (failed["3"].n_scored, failed["4"].n_scored) == (2, 0)


def test_the_official_extractor_reads_as_published(world):
    world.model.rule = lambda prompt, sampling: "a blurred image"
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_OFFICIAL)
        uri = finish(channel, stub.StartEvaluate(request))
    assert {row.choice for row in world.rows(uri, Answer)} == {"A"}
    assert read_object(world.objects, uri, Scores).extractors.disagreement.value == 1


def test_the_likeliest_option_is_asked_for_in_the_words_of_the_form(world):
    seen = []

    def second(prompt, sampling):
        seen.append((prompt.text, prompt.candidates))
        return prompt.candidates[1]

    world.model.rule = second
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        uris = [
            finish(
                channel,
                stub.StartEvaluate(
                    evaluate_request(
                        world, dev, operation_id=f"evaluate/{form}", extractor=pb.EXTRACTOR_LIKELIHOOD, answer_form=form
                    )
                ),
            )
            for form in (pb.ANSWER_FORM_LETTER, pb.ANSWER_FORM_OPEN)
        ]
    items = {item.item_id: item for item in read_rows(world.objects, dev, Item)}
    for uri, is_open in zip(uris, (False, True), strict=True):
        rows = world.rows(uri, Answer)
        assert {row.choice for row in rows} == {"B"}
        assert all(row.answer == (items[row.item_id].options["B"] if is_open else "B") for row in rows)
        assert read_object(world.objects, uri, Scores).extractors.used == "likelihood"
    assert (items["0"].question, tuple(items["0"].options.values())) in seen


def test_a_judge_reads_what_no_rule_reads_and_the_scores_say_so(world):
    world.model.rule = lambda prompt, sampling: "A" if prompt.item_id != "4" else "I would go with what stands first."
    world.chat = ScriptedChat(lambda request: "A")
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge="scripted")
        uri = finish(channel, stub.StartEvaluate(request))
    assert {row.choice for row in world.rows(uri, Answer)} == {"A"}
    extractors = read_object(world.objects, uri, Scores).extractors
    assert (extractors.used, extractors.judge, extractors.n_judged) == ("judge", "scripted", 2)
    assert len(world.chat.asked) == 1  # both runs said the same


def test_a_judge_that_is_down_leaves_answers_unscored_by_name_until_it_is_back(world):
    world.model.rule = lambda prompt, sampling: "A" if prompt.item_id != "4" else "I would go with what stands first."
    said = [Unavailable("The endpoint refused with status 503."), "B"]
    world.chat = ScriptedChat(lambda request: said.pop(0))
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge="scripted")
        down = finish(channel, stub.StartEvaluate(request))
        request.operation_id += "/again"
        up = finish(channel, stub.StartEvaluate(request))
    lost = {(row.item_id, row.run): row.reason for row in world.rows(down, Unscored)}
    assert lost == dict.fromkeys([("4", 0), ("4", 1)], "The endpoint refused with status 503.")
    assert [row.evaluated for row in world.rows(down, Answer) if row.item_id == "4"] == [False, False]
    assert read_object(world.objects, down, Scores).perception.overall.n == 10
    assert world.rows(up, Unscored) == []
    assert {row.choice for row in world.rows(up, Answer) if row.item_id == "4"} == {"B"}


def test_an_evaluation_of_which_nothing_could_be_judged_fails_and_says_why(world):
    world.model.rule = lambda prompt, sampling: "I would go with what stands first."
    world.chat = ScriptedChat(lambda request: "")
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge="scripted")
        with pytest.raises(FailedPrecondition, match="The judge gave no verdict"):
            finish(channel, stub.StartEvaluate(request))


@pytest.mark.parametrize(("judge", "kind"), [("", FailedPrecondition), ("gpt-9", NotFound)])
def test_a_judge_that_is_not_there_is_refused_before_a_model_is_asked(world, judge, kind):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        with pytest.raises(kind):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge=judge)))
    assert world.model.asked == []


def test_another_arm_reuses_every_answer_and_another_seed_none(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        assert len(world.model.asked) == 12
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "other", arm="random")))
        assert len(world.model.asked) == 12
        more = evaluate_request(world, dev, "more", n_runs=3)
        finish(channel, stub.StartEvaluate(more))
        assert world.model.asked[12:] == [(str(n), 2) for n in range(6)]
        sampling = pb.Sampling(temperature=1, top_p=1, max_new_tokens=8, seed=6)
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "seed", sampling=sampling)))
        assert len(world.model.asked) == 30
    assert len(world.loaded) == 1


def test_an_evaluation_that_broke_off_asks_only_for_what_is_missing(world):
    def breaks(prompt, sampling):
        if prompt.item_id == "3":
            raise Internal("The model has gone.")
        return "A"

    world.model.rule = breaks
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        with pytest.raises(Internal):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        world.model.asked.clear()
        world.model.rule = lambda prompt, sampling: "A"
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "again")))
    # Batches of four answers: the first was stored whole, the second not at all.
    assert sorted(world.model.asked) == [(str(n), run) for n in range(2, 6) for run in range(2)]


def test_a_restarted_server_goes_on_and_ends_like_one_that_was_never_stopped(world):
    at_work = threading.Event()

    def waits_for_the_drain(prompt, sampling):
        if prompt.item_id == "2":
            at_work.set()
            while not world.service.operations.is_draining:
                at_work.wait(0.001)
        return prompt.item_id

    world.model.rule = waits_for_the_drain
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        stub.StartEvaluate(evaluate_request(world, dev))
        assert at_work.wait(30)
    assert len(world.model.asked) == 8
    with world.serving() as (stub, channel):
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    assert len(world.model.asked) == len(set(world.model.asked)) == 12
    with short_folder() as folder:
        undisturbed = World(folder)
        undisturbed.model.rule = lambda prompt, sampling: prompt.item_id
        with undisturbed.serving() as (stub, channel):
            request = evaluate_request(undisturbed, benchmark(undisturbed, stub, channel))
            assert finish(channel, stub.StartEvaluate(request)) == uri


def test_shards_share_the_batches_and_the_whole_asks_for_nothing_more(world):
    world.model.rule = lambda prompt, sampling: prompt.item_id
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        asked = []
        for shard in range(2):
            request = evaluate_request(world, dev, f"evaluate.{shard}", n_shards=2, shard=shard)
            assert finish(channel, stub.StartEvaluate(request)) == ""
            asked.append(list(world.model.asked))
            world.model.asked.clear()
        # Batches of four answers: two items each.
        assert [sorted({item for item, _ in one}) for one in asked] == [["0", "1", "4", "5"], ["2", "3"]]
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        assert world.model.asked == []
    with short_folder() as folder:
        alone = World(folder)
        alone.model.rule = world.model.rule
        with alone.serving() as (stub, channel):
            request = evaluate_request(alone, benchmark(alone, stub, channel))
            assert finish(channel, stub.StartEvaluate(request)) == uri


@pytest.mark.parametrize("damaged", [None, b"These are other bytes."], ids=["gone", "damaged"])
def test_a_lost_image_is_named_and_costs_no_other_item(world, damaged):
    world.model.rule = lambda prompt, sampling: prompt.item_id
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        whole = world.lose("1", damaged)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        lost = [row for row in world.rows(uri, Answer) if not row.evaluated]
        assert [(row.item_id, row.run, row.answer, row.scored, row.correct) for row in lost] == [
            ("1", run, "", False, None) for run in range(2)
        ]
        named = world.rows(uri, Unscored)
        assert [(row.item_id, row.run) for row in named] == [("1", 0), ("1", 1)]
        assert all(row.reason and row.remedy for row in named)
        overall = read_object(world.objects, uri, Scores).perception.overall
        assert (overall.n, overall.unscored) == (10, 2)
        assert read_manifest(world.objects, uri).counts["unscored"] == 2
        assert len(world.model.asked) == 10
        world.restore("1", whole)
        world.model.asked.clear()
        again = finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "again")))
        assert world.model.asked == [("1", 0), ("1", 1)]
    with short_folder() as folder:
        undisturbed = World(folder)
        undisturbed.model.rule = world.model.rule
        with undisturbed.serving() as (stub, channel):
            request = evaluate_request(undisturbed, benchmark(undisturbed, stub, channel))
            assert finish(channel, stub.StartEvaluate(request)) == again


def test_an_image_that_comes_back_while_others_are_answered_is_evaluated(world):
    def restores(prompt, sampling):
        if prompt.item_id == "5":
            world.restore("0", whole)
        return "A"

    world.model.rule = restores
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        whole = world.lose("0")
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    assert all(row.evaluated for row in world.rows(uri, Answer))
    assert world.model.asked[-2:] == [("0", 0), ("0", 1)]
    assert len(world.model.asked) == 12


def test_a_shard_leaves_a_lost_image_to_the_whole_evaluation(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        whole = world.lose("0")
        for shard in range(2):
            request = evaluate_request(world, dev, f"evaluate.{shard}", n_shards=2, shard=shard)
            assert finish(channel, stub.StartEvaluate(request)) == ""
        assert len(world.model.asked) == 10
        world.restore("0", whole)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    assert all(row.evaluated for row in world.rows(uri, Answer))
    assert len(world.model.asked) == 12


def test_an_evaluation_without_any_image_fails_and_says_so(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        for item_id in map(str, range(6)):
            world.lose(item_id)
        answer = stub.StartEvaluate(evaluate_request(world, dev))
        with pytest.raises(FailedPrecondition, match="None of the 6 items could be evaluated") as caught:
            await_operation(channel, answer.operation_id)
    assert caught.value.remedy
    assert world.model.asked == []


@pytest.mark.parametrize(("n_shards", "shard", "field"), [(2, 2, "shard"), (0, 1, "shard"), (1001, 0, "n_shards")])
def test_a_shard_that_is_none_is_refused(world, n_shards, shard, field):
    with world.serving() as (stub, _):
        request = evaluate_request(world, world.image_set, n_shards=n_shards, shard=shard)
        with pytest.raises(grpc.RpcError) as caught:
            stub.StartEvaluate(request)
        assert from_rpc_error(caught.value).field == field


def test_models_are_swapped_one_at_a_time(world):
    other = put_model(world.objects, "other")
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        for number, uri in enumerate((world.model_uri, other, world.model_uri)):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev, f"e{number}", model_uri=uri)))
    # The third evaluation is answered from the store.
    assert len(world.loaded) == 2
    assert all((folder / "config.json").is_file() for folder in world.loaded)


def test_failures_become_prototypes(world):
    world.model.rule = lambda prompt, sampling: "A"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
        again = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev, "again")))
    assert again == uri
    failures = world.rows(uri, Failure)
    assert [row.item_id for row in failures] == ["1", "3", "5"]
    assert all((row.error_rate, row.n_scored) == (1.0, 2) for row in failures)
    assert failures[0].capabilities == (
        "modality:ct+attribute:blur", "modality:ct", "question_type:yes_no", "attribute:blur",
    )  # fmt: skip
    rates = world.rows(uri, CapabilityErrorRate)
    assert [(row.capability, row.n_failures, row.n_items) for row in rates if row.is_drawn_for] == [
        ("modality:ct+attribute:blur", 1, 3),
        ("modality:mri+attribute:blur", 2, 3),
    ]
    assert [(row.capability, row.n_failures, row.n_items) for row in rates if not row.is_drawn_for] == [
        ("attribute:blur", 3, 6),
        ("modality:ct", 1, 3),
        ("modality:mri", 2, 3),
        ("question_type:yes_no", 3, 6),
    ]
    prototypes = world.rows(uri, PrototypeRow)
    vectors = read_array(world.objects, uri, "prototypes.npy")
    assert vectors.shape == (len(prototypes), 4)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert sorted(member for row in prototypes for member in row.members) == ["1", "3", "5"]
    assert {row.item_id: row.prototype_id for row in failures} == {
        member: row.prototype_id for row in prototypes for member in row.members
    }
    assert all(row.size == len(row.members) for row in prototypes)
    clustering = read_object(world.objects, uri, ClusteringRow)
    assert clustering.n_clusters == len(prototypes) == 2
    assert set(clustering.silhouettes) == {"2"}
    assert set(read_manifest(world.objects, uri, "failures").parents) == {evaluation, dev, world.image_set}
    assert world.embedding.sizes == [3, 3]
    assert world.embedding.encoders == {ENCODER_ID}
    assert read_manifest(world.objects, uri).configuration["encoder_id"] == ENCODER_ID


def test_every_image_with_an_item_is_an_anchor_with_its_vector(world):
    texts = {"1": "A", "3": "A", "5": "A", "0": "A", "2": "A", "4": "I cannot tell"}
    world.model.rule = lambda prompt, sampling: texts[prompt.item_id]
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    items = {item.image_id: item for item in world.rows(dev, Item)}
    failed = {row.item_id for row in world.rows(uri, Failure)}
    found = world.rows(uri, Anchor)
    assert [row.image_id for row in found] == sorted(items)
    for row in found:
        item = items[row.image_id]
        assert row.is_failure in ((True,) if item.item_id in failed else (False, None))
        cell = f"modality:{item.modality}+attribute:blur"
        assert row.capabilities == ({cell: 1} if row.is_failure else {})
    images = [row.image_id for row in world.rows(world.image_set, Image)]
    vectors = dict(zip(images, read_array(world.objects, world.image_set, "vectors.npy"), strict=True))
    expected = np.stack([vectors[row.image_id] for row in found])
    np.testing.assert_array_equal(read_array(world.objects, uri, "anchors.npy"), expected)


def test_a_cluster_that_is_too_small_is_merged_and_its_failures_keep_a_prototype(world):
    world.model.rule = lambda prompt, sampling: "A"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        request = mine_request(world, evaluation, dev, min_cell_items=4, min_prototype_size=2)
        uri = finish(channel, stub.StartMineFailures(request))
    (prototype,) = world.rows(uri, PrototypeRow)
    assert prototype.members == ("1", "3", "5")
    assert prototype.profile == {"modality:ct": 1 / 3, "modality:mri": 2 / 3}
    assert {row.prototype_id for row in world.rows(uri, Failure)} == {prototype.prototype_id}
    assert read_manifest(world.objects, uri).counts["merged"] == 1
    assert read_object(world.objects, uri, ClusteringRow).n_clusters == 2


def test_a_cell_of_too_few_items_is_pooled_beside_those_that_stay(world):
    world.model.rule = lambda prompt, sampling: "A"
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t\tB\tct\t{'noise' if n == 1 else 'blur'}" for n in range(6)]
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = finish(channel, stub.StartImportBenchmark(import_request(world, world.table(*rows), "benchmark")))
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev, min_cell_items=2)))
    rates = [row for row in world.rows(uri, CapabilityErrorRate) if row.is_drawn_for]
    assert [(row.capability, row.n_items) for row in rates] == [
        ("modality:ct+attribute:blur", 2),
        ("modality:ct+attribute:other", 1),
        ("modality:mri+attribute:blur", 3),
    ]


def test_without_a_failure_there_is_no_prototype_and_no_error(world):
    world.model.rule = lambda prompt, sampling: "AB"[int(prompt.item_id) % 2]
    with world.serving() as (stub, channel):  # and no text is embedded: no embedding service is there
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    assert world.rows(uri, Failure) == world.rows(uri, PrototypeRow) == []
    assert read_array(world.objects, uri, "prototypes.npy").shape == (0, 4)
    assert read_object(world.objects, uri, ClusteringRow) == ClusteringRow(n_clusters=0, silhouettes={})
    assert {row.error_rate for row in world.rows(uri, CapabilityErrorRate)} == {0}


def test_a_model_that_falls_silent_fails_at_every_item_and_its_failures_are_mined(world):
    world.model.rule = lambda prompt, sampling: "I cannot tell"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    overall = read_object(world.objects, evaluation, Scores).perception.overall
    assert (overall.value, overall.n, overall.scored, overall.coverage) == (0.0, 12, None, 0.0)
    counts = read_manifest(world.objects, uri).counts
    assert (counts["failures"], counts["items"], counts["unscored"]) == (6, 6, 0)
    assert counts["prototypes"] >= 1
    assert {(row.error_rate, row.n_scored) for row in world.rows(uri, Failure)} == {(1.0, 0)}
    rates = {row.capability: row.error_rate for row in world.rows(uri, CapabilityErrorRate)}
    assert rates["modality:mri"] == 1.0


def test_items_that_we_could_not_evaluate_are_neither_failures_nor_successes(world):
    world.model.rule = lambda prompt, sampling: "A"
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        world.lose("1")
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    assert [row.item_id for row in world.rows(uri, Failure)] == ["3", "5"]
    assert read_manifest(world.objects, uri).counts["unscored"] == 1
    rates = {row.capability: row for row in world.rows(uri, CapabilityErrorRate)}
    assert (rates["modality:ct"].n_items, rates["modality:ct"].n_unscored, rates["modality:ct"].error_rate) == (2, 1, 0)


def test_mining_refuses_datasets_that_do_not_belong_together(world):
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        table = world.table("0\tIs it?\tYes\tNo\t\tA\t\t")
        other = finish(channel, stub.StartImportBenchmark(import_request(world, table, "other")))
        with pytest.raises(InvalidArgument, match="another benchmark"):
            finish(channel, stub.StartMineFailures(mine_request(world, evaluation, other, "m1")))
        images = put_image_set(world.objects, (1, 2))
        with pytest.raises(InvalidArgument, match="not that of the benchmark"):
            finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev, "m2", image_set_uri=images)))
        with pytest.raises(InvalidArgument, match="kind 'evaluation'"):
            finish(channel, stub.StartMineFailures(mine_request(world, dev, dev, "m3")))


def test_generations_carry_the_log_probability_of_each_token(world):
    world.model.rule = lambda prompt, sampling: "B" if "A. Yes" in prompt.text else "It is blurred."
    image_uri = world.rows(world.image_set, Image)[0].image_uri
    options = {"A": "Yes", "B": "No"}
    rows = [
        build(Question, question_id="q2", image_uri=image_uri, question="Describe.", options={}),
        build(Question, question_id="q1", image_uri=image_uri, question="Is it sharp?", options=options),
    ]
    questions = put_dataset(world.objects, "questions", {"questions.jsonl": rows})
    with world.serving() as (stub, channel):
        for operation_id in ("g1", "g2"):
            request = pb.StartGenerateRequest(
                operation_id=operation_id, model_uri=world.model_uri, questions_uri=questions,
                sampling=pb.Sampling(temperature=0, top_p=1, max_new_tokens=32),
            )  # fmt: skip
            uri = finish(channel, stub.StartGenerate(request))
    assert world.rows(uri, Generation) == [
        Generation(question_id="q1", answer="B", choice="B", token_logprobs=(-0.5,), answer_logprobs=(-0.5,)),
        Generation(
            question_id="q2",
            answer="It is blurred.",
            choice=None,
            token_logprobs=(-0.5,) * 14,
            answer_logprobs=(-0.5,) * 14,
        ),
    ]
    assert len(world.model.asked) == 2


def test_a_question_whose_image_is_lost_ends_the_generation(world):
    question = build(Question, image_uri=f"sha256:{'0' * 64}")
    questions = put_dataset(world.objects, "questions", {"questions.jsonl": [question]})
    with world.serving() as (stub, channel):
        request = pb.StartGenerateRequest(
            operation_id="g", model_uri=world.model_uri, questions_uri=questions,
            sampling=pb.Sampling(temperature=0, top_p=1, max_new_tokens=32),
        )  # fmt: skip
        with pytest.raises(NotFound):
            finish(channel, stub.StartGenerate(request))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_uri": "model"},
        {"benchmark_uri": ""},
        {"arm": ""},
        {"n_runs": 0},
        {"n_runs": 101},
        {"extractor": pb.EXTRACTOR_UNSPECIFIED},
        {"sampling": pb.Sampling(temperature=0, top_p=1, max_new_tokens=8)},
        {"sampling": pb.Sampling(temperature=-1, top_p=1, max_new_tokens=8)},
        {"sampling": pb.Sampling(temperature=1, top_p=0, max_new_tokens=8)},
        {"sampling": pb.Sampling(temperature=1, top_p=1, max_new_tokens=0)},
    ],
)
def test_a_wrong_evaluation_is_refused_at_once(world, changes):
    with world.serving() as (stub, _), pytest.raises(grpc.RpcError) as caught:
        stub.StartEvaluate(evaluate_request(world, "sha256:" + "0" * 64, **changes))
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgument)
    assert error.field
    assert error.remedy


def test_other_wrong_requests_are_refused_at_once(world):
    some = "sha256:" + "0" * 64
    with world.serving() as (stub, _):
        calls = [
            (stub.StartImportBenchmark, import_request(world, "")),
            (stub.StartImportBenchmark, import_request(world, "x.tsv", split="base")),
            (stub.StartImportBenchmark, import_request(world, "x.tsv", image_set_uri="x")),
            (stub.StartMineFailures, mine_request(world, "x", some)),
            (stub.StartMineFailures, mine_request(world, some, some, gamma=1)),
            (stub.StartMineFailures, mine_request(world, some, some, max_clusters=1)),
            (stub.StartMineFailures, mine_request(world, some, some, visual_weight=1.5)),
            (stub.StartMineFailures, mine_request(world, some, some, axes=[])),
            (stub.StartMineFailures, mine_request(world, some, some, axes=["modality", "modality"])),
            (stub.StartMineFailures, mine_request(world, some, some, axes=["organ"])),
            (stub.StartMineFailures, mine_request(world, some, some, min_cell_items=0)),
            (stub.StartMineFailures, mine_request(world, some, some, min_prototype_size=0)),
            (stub.StartMineFailures, mine_request(world, some, some, n_runs=0)),
            (stub.StartGenerate, pb.StartGenerateRequest(operation_id="g", model_uri=some, questions_uri=some)),
            (stub.StartGenerate, pb.StartGenerateRequest(operation_id="g", model_uri=some, questions_uri="")),
        ]
        for call, request in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert isinstance(from_rpc_error(caught.value), InvalidArgument)


def test_datasets_that_are_not_there_are_not_found_and_an_id_names_one_request(world):
    with world.serving() as (stub, channel):
        request = evaluate_request(world, "sha256:" + "0" * 64)
        with pytest.raises(NotFound):
            finish(channel, stub.StartEvaluate(request))
        with pytest.raises(grpc.RpcError) as caught:
            stub.StartEvaluate(evaluate_request(world, "sha256:" + "1" * 64))
        assert isinstance(from_rpc_error(caught.value), AlreadyExists)


def test_an_evaluation_that_is_called_off_keeps_its_answers(world):
    at_work, go_on = threading.Event(), threading.Event()

    def waits(prompt, sampling):
        if prompt.item_id == "2":
            at_work.set()
            assert go_on.wait(30)
        return "A"

    world.model.rule = waits
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        answer = stub.StartEvaluate(evaluate_request(world, dev))
        assert at_work.wait(30)
        operations = operations_pb2_grpc.OperationsServiceStub(channel)
        operations.CancelOperation(operations_pb2.CancelOperationRequest(operation_id=answer.operation_id))
        go_on.set()
        with pytest.raises(Cancelled):
            finish(channel, answer)
        world.model.asked.clear()
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "again")))
    assert sorted(world.model.asked) == [("4", 0), ("4", 1), ("5", 0), ("5", 1)]


def test_stored_replies_are_read_in_both_ways_and_in_order(world):
    options = {"A": "Noise", "B": "Motion", "C": ""}
    replies = [
        pb.StoredReply(options=options, answer="B", prediction="A blurred image, so B"),
        pb.StoredReply(options=options, answer="noise", prediction="Noise"),
        pb.StoredReply(options=options, answer="C", prediction="C"),
        pb.StoredReply(options={"A": "Noise"}, answer="A", prediction="A"),
    ]
    with world.serving() as (stub, _):
        scored = stub.ScoreReplies(pb.ScoreRepliesRequest(replies=replies)).replies
    assert [(reply.answer, reply.official_choice, reply.strict_choice, reply.refusal) for reply in scored] == [
        ("B", "A", "B", ""),
        ("A", "", "A", ""),
        ("", "", "", "the answer is not among the options"),
        ("", "", "", "fewer than two options"),
    ]


def test_more_replies_than_can_be_read_while_one_waits_are_refused(world):
    reply = pb.StoredReply(options={"A": "Noise", "B": "Motion"}, answer="B", prediction="C " * 50_000)
    with world.serving() as (stub, _), pytest.raises(grpc.RpcError) as caught:
        stub.ScoreReplies(pb.ScoreRepliesRequest(replies=[reply] * 11))
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgument)
    assert error.field == "replies"


def test_what_is_no_model_answers_nothing(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        with pytest.raises(InvalidArgument, match="kind 'model'"):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev, model_uri=dev)))
