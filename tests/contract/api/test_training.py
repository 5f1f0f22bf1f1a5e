"""The real training server on a unix socket; the leakage check is a fake behind a real server."""

from __future__ import annotations

import json
import threading
from concurrent import futures
from contextlib import ExitStack, contextmanager

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from medq.training.v1 import training_pb2 as pb
from medq.training.v1.training_pb2_grpc import TrainingServiceStub
from services.training.adapters.subprocess_launcher import SubprocessLauncher
from services.training.job.log import TrainingProgress
from services.training.job.spec import read_spec
from services.training.main import build
from services.training.settings import TrainingSettings
from shared.errors import Cancelled, Conflict, FailedPrecondition, Internal, InvalidArgument, PermissionDenied
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import materialize, publish, read_manifest, read_object, read_rows
from shared.objects.folder import FolderObjectStore
from shared.prompts import DESCRIPTION_QUESTION, multiple_choice_prompt
from shared.rows.annotation import Decision
from shared.rows.benchmark import Item
from shared.rows.images import Image
from shared.rows.training import Conversation, Dropped, Lineage, Training
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from studies.tiny_model import build_tiny_checkpoint
from tests.support.annotation import leave_unfinished
from tests.support.evaluation import put_image
from tests.support.rows import build as a
from tests.support.servers import running, short_folder

OPTIONS = {"A": "Noise", "B": "Blur", "C": "Nothing"}
_HASHES = ["0123456789abcdef", "fedcba9876543210", "00ff00ff00ff00ff", "aa55aa55aa55aa55"]


class FakeGate(retrieval_pb2_grpc.RetrievalServiceServicer):
    """Finds the leaks that a test names."""

    def __init__(self):
        self.leaks, self.is_down, self.requests = {}, False, []

    def CheckLeakage(self, request, context):
        self.requests.append(request)
        if self.is_down:
            raise FailedPrecondition("The guarded set has no hashes.")
        leaks = [
            retrieval_pb2.Leak(image_id=image_id, reason=self.leaks[image_id], guard_image_id="g")
            for image_id in request.image_ids
            if image_id in self.leaks
        ]
        return retrieval_pb2.CheckLeakageResponse(leaks=leaks)


class FakeProcess:
    """Notes the jobs, and makes of each a model that says what it was told."""

    def __init__(self):
        self.jobs, self.error = [], None

    def run(self, spec_path, on_progress, is_cancelled):
        spec = read_spec(spec_path)
        self.jobs.append(spec)
        on_progress(TrainingProgress(1, 2, 0.5, 1e-5))
        if self.error is not None:
            raise self.error
        spec.checkpoints_folder.mkdir(exist_ok=True)
        spec.result_folder.mkdir()
        for name in ("config.json", "training.json", "optimizer.pt", ".hidden"):
            (spec.result_folder / name).write_text(json.dumps(spec.settings))


class WaitingProcess(FakeProcess):
    """Waits until it is called off or its server drains; the second job is made as usual."""

    def __init__(self):
        super().__init__()
        self.has_begun = threading.Event()

    def run(self, spec_path, on_progress, is_cancelled):
        if self.has_begun.is_set():
            super().run(spec_path, on_progress, is_cancelled)
            return
        self.has_begun.set()
        pause = threading.Event()
        while not is_cancelled():
            pause.wait(0.01)
        raise Cancelled("The training was called off.")


def decision(number, image_uri, question="What is wrong?", **changes):
    fields = {"answer": "AB"[number % 2], "route": "self", "expert_action": "", "simulated": True} | changes
    return a(
        Decision,
        decision_id=f"d{number}",
        sample_id=f"sample-{number}",
        image_id=image_uri.removeprefix("sha256:"),
        image_uri=image_uri,
        prototype_id="p0",
        question=question,
        options=OPTIONS,
        **fields,
    )


class House:
    """A training service and the leakage check on one state folder."""

    def __init__(self, folder):
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.gate, self.process = FakeGate(), FakeProcess()
        self.gate_server = grpc.server(futures.ThreadPoolExecutor(2), interceptors=[ErrorInterceptor("fake")])
        retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server(self.gate, self.gate_server)
        self.gate_server.add_insecure_port(f"unix:{folder}/r.sock")
        self.gate_server.start()
        self.bus = SqliteEventBus(folder / "events.sqlite")
        self.settings = TrainingSettings(state_folder=folder / "state", listen=f"unix:{folder}/t.sock")
        self.database = folder / "state" / "training" / "training.sqlite"
        self.image_uris = [put_image(self.objects, level) for level in range(4)]
        self.hashes = list(_HASHES)
        self.decisions = [decision(n, uri) for n, uri in enumerate(self.image_uris[:3])]

    @contextmanager
    def server(self):
        with Channels({"retrieval": f"unix:{self.folder}/r.sock"}) as channels:
            state = self.settings.state_folder
            launcher = self.process and SubprocessLauncher(self.objects, state, self.process)
            service = build(self.settings, channels, self.bus, self.objects, launcher)
            with running(service, self.bus, self.settings) as channel:
                yield channel

    def image_set(self):
        images = [
            a(Image, image_id=uri.removeprefix("sha256:"), image_uri=uri, phash=phash)
            for uri, phash in zip(self.image_uris, self.hashes, strict=True)
        ]
        return self.put("image-set", "images.jsonl", images)

    def put(self, kind, file, content):
        return publish(self.objects, kind, {file: content}, counts={}, parents=[], configuration={})

    def request(self, operation_id="build", **changes):
        fields = {
            "operation_id": operation_id, "run_id": "run", "arm": "arm", "round": 1,
            "decisions_uri": self.put("decisions", "decisions.jsonl", self.decisions),
            "image_set_uris": [self.image_set()], "guard_uris": [self.image_set()], "phash_distance": 4,
            "tfidf_threshold": 0.9, "seed": 3,
        } | changes  # fmt: skip
        return pb.StartBuildDatasetRequest(**fields)

    def build(self, channel, **changes):
        request = self.request(**changes)
        TrainingServiceStub(channel).StartBuildDataset(request)
        return await_operation(channel, request.operation_id).result_uri

    def replay(self):
        uri = self.image_uris[3]
        image = {"image_id": uri.removeprefix("sha256:"), "image_uri": uri}
        items = [a(Item, item_id=f"item-{n}", options=OPTIONS, answer="A", **image) for n in range(3)]
        return self.put("benchmark", "items.jsonl", items)

    def train_request(self, channel, **changes):
        model_uri = self.put("model", "weights.npy", np.zeros(1))
        fields = {
            "operation_id": "train", "run_id": "run", "arm": "arm", "round": 1, "model_uri": model_uri,
            "dataset_uri": self.build(channel), "learning_rate": 2e-5, "epochs": 3, "batch_size": 2,
            "gradient_accumulation": 1, "loss": pb.LOSS_REDUCTION_TOKEN_MEAN, "warmup_ratio": 0.03, "max_length": 99,
            "seed": 5,
        } | changes  # fmt: skip
        return pb.StartTrainRequest(**fields)

    def published(self, topic):
        events = []
        consumer = self.bus.consumer("test", {f"medq.training.{topic}.v1": events.extend})
        while consumer.poll(1.0):
            pass
        consumer.close()
        return events


@pytest.fixture
def house():
    with short_folder() as folder, ExitStack() as stack:
        house = House(folder)
        stack.callback(lambda: house.gate_server.stop(0).wait())
        stack.callback(house.bus.close)
        yield house


def test_a_dataset_holds_samples_in_every_form_that_others_read(house, tmp_path):
    with house.server() as channel:
        uri = house.build(channel)
        events = house.published("dataset-published")
    folder = materialize(house.objects, uri, tmp_path)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == ["d0", "d1", "d2"]
    for row in rows:
        human, answer = row["conversations"]
        assert human["value"] == "<image>\n" + multiple_choice_prompt("What is wrong?", OPTIONS)
        assert human["value"].count("<image>") == len(row["images"]) == 1
        assert answer == {"from": "gpt", "value": "AB"[int(row["id"][1]) % 2]}
        assert (folder / row["images"][0]).read_bytes().startswith(b"\x89PNG")
    table = pq.read_table(folder / "data/train-00000-of-00001.parquet").to_pylist()
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    assert table[0]["conversations"] == rows[0]["conversations"]
    assert table[0]["image"]["bytes"] == (folder / table[0]["image"]["path"]).read_bytes()
    info = json.loads((folder / "dataset_info.json").read_text())["medq"]
    assert info["file_name"] == "train.jsonl"
    card = (folder / "README.md").read_text()
    assert "3 of the 3 new samples were annotated by a simulated oracle" in card
    assert card.startswith("---\n")
    assert [event.key for event in events] == ["run"]


def test_descriptions_are_samples_beside_questions_in_both_forms_from_decisions_and_from_replay(house, tmp_path):
    text = "Strong noise hides the edges. Overall, the quality of this image is reject."
    asked = {"question": DESCRIPTION_QUESTION, "options": {}, "question_type": "description"}
    house.decisions[1] = replace(house.decisions[1], **asked, answer=text)
    image = {"image_id": house.image_uris[3].removeprefix("sha256:"), "image_uri": house.image_uris[3]}
    item = a(Item, item_id="described", answer=text.replace("noise", "grain"), **asked, **image)
    replay = house.put("benchmark", "items.jsonl", [item])
    with house.server() as channel:
        uri = house.build(channel, replay_uri=replay, replay_ratio=1)
    folder = materialize(house.objects, uri, tmp_path)
    rows = {row["id"]: row for row in map(json.loads, (folder / "train.jsonl").read_text().splitlines())}
    assert rows["d1"]["conversations"] == [
        {"from": "human", "value": f"<image>\n{DESCRIPTION_QUESTION}"},
        {"from": "gpt", "value": text},
    ]
    assert rows["replay/described"]["conversations"][1]["value"].startswith("Strong grain")
    table = {row["id"]: row for row in pq.read_table(folder / "data/train-00000-of-00001.parquet").to_pylist()}
    assert {name: row["conversations"] for name, row in rows.items()} == {
        name: row["conversations"] for name, row in table.items()
    }
    card = (folder / "README.md").read_text()
    assert "| a description | 2 |" in card
    assert "Strong" not in card


def test_every_sample_leads_back_to_its_decision_and_prototype(house):
    with house.server() as channel:
        lineage = read_rows(house.objects, house.build(channel), Lineage)
    assert {row.id: (row.decision_id, row.sample_id, row.prototype_id, row.route) for row in lineage} == {
        f"d{n}": (f"d{n}", f"sample-{n}", "p0", "self") for n in range(3)
    }
    assert {row.image_uri for row in lineage} == set(house.image_uris[:3])


def test_a_leaking_image_is_dropped_with_the_reason(house):
    leaking = house.image_uris[1].removeprefix("sha256:")
    house.gate.leaks = {leaking: "patient"}
    with house.server() as channel:
        uri = house.build(channel, is_quality_assurance_off=True)
    assert len(read_rows(house.objects, uri, Conversation)) == 2
    dropped = read_rows(house.objects, uri, Dropped)
    assert [(row.image_id, row.reason, row.detail) for row in dropped] == [(leaking, "leak: patient", "g")]


def test_a_leakage_check_that_cannot_be_made_ends_the_build(house):
    house.gate.is_down = True
    with house.server() as channel, pytest.raises(FailedPrecondition, match="no hashes"):
        house.build(channel)


def test_an_image_that_no_image_set_describes_ends_the_build(house):
    house.decisions.append(decision(9, put_image(house.objects, 99)))
    with house.server() as channel, pytest.raises(FailedPrecondition, match="leakage cannot be checked"):
        house.build(channel)
    assert house.gate.requests == []


def test_near_duplicate_images_and_texts_are_kept_once_the_experts_first(house):
    house.hashes[:2] = ["0" * 16, "0" * 15 + "1"]
    first, second = house.image_uris[0], house.image_uris[2]
    house.decisions = [
        decision(0, first, answer="A"),
        decision(1, house.image_uris[1], answer="A", expert_action="accept", route="expert"),
        decision(2, second, answer="B"),
        decision(3, second, answer="B", question="What  is wrong?"),
    ]
    with house.server() as channel:
        uri = house.build(channel)
    kept = {row.id for row in read_rows(house.objects, uri, Conversation)}
    dropped = {row.id: (row.reason, row.detail) for row in read_rows(house.objects, uri, Dropped)}
    assert kept == {"d1", "d2"}
    assert dropped == {
        "d0": ("near-duplicate image", house.image_uris[1].removeprefix("sha256:")),
        "d3": ("near-duplicate text", "d2"),
    }


def test_the_same_slice_with_another_degradation_and_answer_is_kept(house):
    house.hashes[:3] = ["0" * 16, "0" * 15 + "1", "0" * 15 + "3"]
    house.decisions = [decision(n, house.image_uris[n], answer=answer) for n, answer in enumerate("ABC")]
    with house.server() as channel:
        uri = house.build(channel)
    assert read_rows(house.objects, uri, Dropped) == []


def test_what_an_earlier_round_taught_about_nearly_the_same_picture_is_not_taught_again(house):
    house.hashes[:3] = ["0" * 16, "f" * 16, "0" * 15 + "1"]
    with house.server() as channel:
        house.decisions = [decision(0, house.image_uris[0], answer="A"), decision(1, house.image_uris[1], answer="A")]
        first = house.build(channel, round=1)
        house.decisions = [
            decision(2, house.image_uris[2], answer="A"),  # nearly the picture of d0, and the same answer
            decision(3, house.image_uris[2], answer="B", question="Is it sharp?"),
        ]
        second = house.build(channel, operation_id="second", round=2, earlier_uris=[first])
        third = house.build(
            channel, operation_id="third", round=3, earlier_uris=[first, second], is_quality_assurance_off=True
        )
    dropped = [(row.id, row.reason, row.detail) for row in read_rows(house.objects, second, Dropped)]
    assert dropped == [("d2", "repeats round 1", "d0")]
    assert first in read_manifest(house.objects, second).parents
    assert read_rows(house.objects, third, Dropped) == []


def test_without_quality_assurance_duplicates_stay_and_leaks_do_not(house):
    house.hashes[:2] = [house.hashes[2]] * 2
    house.gate.leaks = {house.image_uris[0].removeprefix("sha256:"): "same_pixels"}
    with house.server() as channel:
        uri = house.build(channel, is_quality_assurance_off=True, tfidf_threshold=0)
    assert {row.id for row in read_rows(house.objects, uri, Conversation)} == {"d1", "d2"}


def test_a_sample_that_cannot_be_trained_on_is_dropped(house):
    house.decisions[0] = replace(house.decisions[0], answer="Z")
    house.decisions[1] = replace(house.decisions[1], question="Is <image> blurred?")
    with house.server() as channel:
        uri = house.build(channel)
    reasons = {row.id: row.reason for row in read_rows(house.objects, uri, Dropped)}
    assert reasons == {"d0": "the answer is no option", "d1": "the text holds <image>"}


def test_replay_is_drawn_by_the_seed_checked_for_leaks_and_traced(house):
    replay_uri = house.replay()
    with house.server() as channel:
        uri = house.build(channel, replay_uri=replay_uri, replay_ratio=0.5)
        again = house.build(channel, operation_id="again", run_id="x", replay_uri=replay_uri, replay_ratio=0.5)
        house.gate.leaks = {house.image_uris[3].removeprefix("sha256:"): "session"}
        without = house.build(channel, operation_id="leak", replay_uri=replay_uri, replay_ratio=0.5)
    replayed = [row for row in read_rows(house.objects, uri, Lineage) if row.kind == "replay"]
    assert len(replayed) == 2
    assert all(row.id == f"replay/{row.item_id}" for row in replayed)
    assert uri == again
    assert read_manifest(house.objects, without).counts == {"new": 3, "samples": 3, "dropped": 3}


def test_no_new_sample_is_an_error_that_counts_the_reasons(house):
    house.gate.leaks = {uri.removeprefix("sha256:"): "patient" for uri in house.image_uris}
    with house.server() as channel, pytest.raises(FailedPrecondition, match="leak: patient: 3"):
        house.build(channel)


def test_the_seed_decides_on_the_order_alone(house):
    with house.server() as channel:
        orders = [
            [
                row.id
                for row in read_rows(house.objects, house.build(channel, operation_id=f"b{s}", seed=s), Conversation)
            ]
            for s in range(6)
        ]
    assert {tuple(sorted(order)) for order in orders} == {("d0", "d1", "d2")}
    assert len({tuple(order) for order in orders}) > 1


def test_training_stores_a_model_with_its_parents_and_tells_of_it(house):
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        uri = await_operation(channel, "train").result_uri
        events = house.published("model-trained")
    manifest = read_manifest(house.objects, uri, "model")
    assert set(manifest.files) == {"config.json", "training.json"}
    assert manifest.parents == (request.model_uri, request.dataset_uri)
    (job,) = house.process.jobs
    assert (job.loss_reduction, job.epochs, job.max_length, job.seed) == ("token_mean", 3, 99, 5)
    assert job.train_file.is_file()
    assert not job.checkpoints_folder.exists()
    assert [event.round for event in events] == [1]


def test_a_finished_training_is_not_trained_again(house):
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        uri = await_operation(channel, "train").result_uri
    leave_unfinished(house.database, "train")
    house.process.error = Internal("not again")
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(request)
        assert await_operation(channel, "train").result_uri == uri
        events = house.published("model-trained")
    assert len(house.process.jobs) == 1
    assert len(events) == 1


def test_a_training_that_was_stopped_goes_on_in_the_same_folder(house):
    house.process.error = Internal("killed")
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        with pytest.raises(Internal):
            await_operation(channel, "train")
    leave_unfinished(house.database, "train")
    house.process.error = None
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(request)
        await_operation(channel, "train")
    first, second = house.process.jobs
    assert first == second


def test_a_training_that_failed_goes_on_in_the_same_folder_under_another_id(house):
    """A run that goes on after a failure asks for the same training under another operation id."""
    house.process.error = Internal("out of memory")
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        with pytest.raises(Internal):
            await_operation(channel, "train")
        house.process.error = None
        request.operation_id = "train/2"
        TrainingServiceStub(channel).StartTrain(request)
        await_operation(channel, "train/2")
    first, second = house.process.jobs
    assert first == second


def test_two_operations_do_not_train_in_one_folder(house):
    house.process = WaitingProcess()
    with house.server() as channel:
        request = house.train_request(channel)
        TrainingServiceStub(channel).StartTrain(request)
        assert house.process.has_begun.wait(20)
        request.operation_id = "train/2"
        TrainingServiceStub(channel).StartTrain(request)
        with pytest.raises(Conflict):
            await_operation(channel, "train/2")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_tiny_checkpoint_is_really_imported_trained_and_stored(house, tmp_path):
    build_tiny_checkpoint(tmp_path, [multiple_choice_prompt("What is wrong?", OPTIONS)], seed=0)
    house.process = None  # child processes
    with house.server() as channel:
        parent = import_model(channel, tmp_path)
        request = house.train_request(channel, model_uri=parent, epochs=1, max_length=0, learning_rate=1e-3)
        TrainingServiceStub(channel).StartTrain(request)
        done = await_operation(channel, "train")
    told = read_object(house.objects, done.result_uri, Training)
    assert told.n_trainable == told.n_parameters
    assert len(told.loss_curve) == 2
    before, after = (read_manifest(house.objects, uri).files for uri in (parent, done.result_uri))
    assert before["model.safetensors"].bytes == after["model.safetensors"].bytes
    assert before["model.safetensors"].sha256 != after["model.safetensors"].sha256


def test_a_training_can_be_called_off(house):
    house.process = WaitingProcess()
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(house.train_request(channel))
        assert house.process.has_begun.wait(20)
        operations = operations_pb2_grpc.OperationsServiceStub(channel)
        operations.CancelOperation(operations_pb2.CancelOperationRequest(operation_id="train"))
        with pytest.raises(Cancelled):
            await_operation(channel, "train")


def test_a_drained_server_gives_its_training_to_the_next(house):
    house.process = WaitingProcess()
    with house.server() as channel:
        TrainingServiceStub(channel).StartTrain(house.train_request(channel))
        assert house.process.has_begun.wait(20)
    with house.server() as channel:
        assert await_operation(channel, "train").result_uri
    assert len(house.process.jobs) == 1


def test_the_models_own_limit_is_the_longest_input(house, tmp_path):
    config = {"text_config": {"max_position_embeddings": 512}}
    with house.server() as channel:
        uri = import_model(channel, checkpoint(tmp_path, config))
        request = house.train_request(channel, model_uri=uri, max_length=0)
        TrainingServiceStub(channel).StartTrain(request)
        await_operation(channel, "train")
    assert house.process.jobs[0].max_length == 512


def test_an_imported_model_is_its_files_without_the_trainers(house, tmp_path):
    folder = checkpoint(tmp_path, {})
    (folder / "optimizer.pt").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_bytes(b"x")
    (folder / "merges.txt").symlink_to(folder / "config.json")
    for name in ("token", "modeling_custom.py", "notes.txt", ".env", "model.pkl"):
        (folder / name).write_text("SECRET")
    with house.server() as channel:
        uri = import_model(channel, folder)
        (folder / "token").unlink()
        again = import_model(channel, f"file://{folder}", operation_id="again")
        told = operations_pb2_grpc.OperationsServiceStub(channel).GetOperation(
            operations_pb2.GetOperationRequest(operation_id="again")
        )
    assert "6 files and folders are no part of a checkpoint" in told.operation.progress.message
    assert set(read_manifest(house.objects, uri, "model").files) == {
        "config.json", "model.safetensors", "tokenizer.json", "processor_config.json", "merges.txt",
    }  # fmt: skip
    assert uri == again


def test_a_folder_without_weights_is_a_clear_error(house, tmp_path):
    folder = checkpoint(tmp_path, {})
    (folder / "model.safetensors").unlink()
    with house.server() as channel, pytest.raises(InvalidArgument, match="weights are missing"):
        import_model(channel, folder)


@pytest.mark.parametrize("uri", ["", "a\0b", "x" * 5000, "http://host/x", "file://[", "loop"])
def test_what_is_no_folder_is_refused_at_once(uri, house, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with house.server() as channel, pytest.raises(grpc.RpcError) as caught:
        import_model(channel, uri)
    assert from_rpc_error(caught.value).field == "folder_uri"


def test_a_model_outside_the_input_roots_is_refused_at_once(house, tmp_path):
    (tmp_path / "models").mkdir()
    inside, outside = checkpoint(tmp_path / "models", {}), checkpoint(tmp_path, {})
    house.settings = house.settings.model_copy(update={"input_roots": (tmp_path / "models",)})
    with house.server() as channel:
        assert import_model(channel, inside)
        with pytest.raises(grpc.RpcError) as caught:
            import_model(channel, outside, operation_id="outside")
    assert isinstance(from_rpc_error(caught.value), PermissionDenied)


BAD_BUILDS = [
    ("decisions_uri", ""),
    ("replay_uri", "x"),
    ("image_set_uris", []),
    ("guard_uris", []),
    ("guard_uris", ["x"]),
    ("replay_ratio", -1.0),
    ("phash_distance", 17),
    ("tfidf_threshold", 0.0),
    ("tfidf_threshold", 1.5),
    ("round", 2**31),
]
BAD_TRAININGS = [
    ("model_uri", ""),
    ("dataset_uri", "x"),
    ("learning_rate", 0.0),
    ("epochs", 0.0),
    ("epochs", 1.5),
    ("batch_size", 0),
    ("gradient_accumulation", 0),
    ("loss", pb.LOSS_REDUCTION_UNSPECIFIED),
    ("warmup_ratio", 1.0),
    ("weight_decay", -1.0),
    ("round", 2**31),
]


def test_a_bad_field_is_refused_at_once_by_name(house):
    with house.server() as channel:
        stub = TrainingServiceStub(channel)
        calls = [(stub.StartBuildDataset, house.request(**{name: value}), name) for name, value in BAD_BUILDS]
        good = house.train_request(channel)
        for name, value in BAD_TRAININGS:
            request = pb.StartTrainRequest()
            request.CopyFrom(good)
            setattr(request, name, value)
            calls.append((stub.StartTrain, request, name))
        calls += [
            (stub.StartImportModel, pb.StartImportModelRequest(operation_id="i", folder_uri=uri), "folder_uri")
            for uri in ("", "s3://bucket/model", "file://host/model")
        ]
        for call, request, name in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert from_rpc_error(caught.value).field == name


def checkpoint(folder, config):
    """What looks like a checkpoint folder from outside."""
    folder = folder / "checkpoint"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "processor_config.json"):
        (folder / name).write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def import_model(channel, folder, operation_id="import"):
    request = pb.StartImportModelRequest(operation_id=operation_id, folder_uri=str(folder))
    TrainingServiceStub(channel).StartImportModel(request)
    return await_operation(channel, operation_id).result_uri
