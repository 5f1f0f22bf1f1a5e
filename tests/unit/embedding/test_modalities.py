"""Who tells the modality of an image, and what an encoder guesses where nobody does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, CLIPModel

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import events_pb2
from services.embedding.adapters.encoders import SiteEncoders
from services.embedding.adapters.sources import FileSource
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.domain.modalities import PROMPTS, RIVALS, class_vectors, guess_modalities, told_modality
from services.embedding.operations import EmbeddingOperations
from services.embedding.ports import Encoder, Pixels
from services.embedding.store.images import Store
from services.embedding.store.marks import Marks
from services.embedding.store.tables import METADATA, OUTBOX
from services.embedding.work.modalities import ModalityGuesser
from services.embedding.work.reading import InputReader
from services.embedding.work.serving import Serving, Servings
from services.embedding.work.worker import EmbeddingWorker
from shared.events.bus import Event, topic_of
from shared.objects.dataset import read_manifest, read_rows
from shared.objects.folder import FolderObjectStore
from shared.paths import ANYWHERE
from shared.rows.images import Image
from shared.rows.vocabulary import MODALITIES
from tests.support.databases import Database
from tests.support.encoder_folders import save_clip, save_open_clip
from tests.support.encoders import EncodersHere
from tests.support.formats import FormatsHere
from tests.support.pictures import dicom, picture, png

N_CLASSES = len(PROMPTS) + len(RIVALS)
CLASSES = np.eye(N_CLASSES, dtype=np.float32)


def test_every_modality_of_the_vocabulary_has_prompts():
    assert tuple(PROMPTS) == MODALITIES


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("CT", "mri", "fundus"), ("ct", "manifest")),
        (("", "mri", "fundus"), ("mri", "header")),
        (("sonar", "mri", ""), ("mri", "header")),
        (("", "", "fundus"), ("fundus", "request")),
        (("sonar", "", ""), ("unknown", "manifest")),
        (("", "unknown", ""), ("unknown", "header")),
        (("unknown", "", "unknown"), ("unknown", "")),
        (("", "", ""), ("unknown", "")),
    ],
)
def test_the_manifest_goes_before_the_file_and_the_file_before_the_request(
    said: tuple[str, str, str], expected: tuple[str, str]
):
    assert told_modality(*said) == expected


def test_a_modality_is_taken_from_probability_nine_tenths_on():
    """An image that lies on one class: the softmax is e^s / (e^s + n - 1), which is 0.9 at s = ln(9 (n - 1))."""
    edge = math.log(9 * (N_CLASSES - 1))
    assert guess_modalities(CLASSES[:1], CLASSES, edge + 1e-6) == ["mri"]
    assert guess_modalities(CLASSES[:1], CLASSES, edge - 1e-6) == ["unknown"]


def test_an_image_of_two_modalities_or_of_a_rival_is_of_none():
    halfway = (CLASSES[0] + CLASSES[1]) / math.sqrt(2)
    images = np.stack([halfway, CLASSES[len(PROMPTS)], CLASSES[3]])
    assert guess_modalities(images, CLASSES, 100.0) == ["unknown", "unknown", "fundus"]


def test_a_class_is_the_mean_of_its_prompts_at_unit_norm():
    vectors = {"an MRI scan": [0.6, 0.8]}

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([vectors.get(text, [1.0, 0.0]) for text in texts], np.float32)

    mri, *others = class_vectors(embed)
    np.testing.assert_allclose(mri, np.array([2.6, 0.8]) / math.hypot(2.6, 0.8), rtol=1e-6)
    np.testing.assert_allclose(others, [[1.0, 0.0]] * (N_CLASSES - 1))


class ByBrightness:
    """The first row of an image's pixels names its class; each prompt lies on that of its class."""

    encoder_id, dimension, logit_scale = "brightness", N_CLASSES, 50.0

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        return CLASSES[[int(image[0, 0, 0]) for image in images]]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        classes = (*PROMPTS.values(), *RIVALS)
        return CLASSES[[next(i for i, prompts in enumerate(classes) if text in prompts) for text in texts]]


class Bus:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, events: Sequence[Event]) -> None:
        self.events += events


class Context:
    def progress(self, done: int, total: int, unit: str, message: str = "") -> None:
        """Nobody looks."""

    def check_cancelled(self) -> None:
        """Nobody calls it off."""


class Bench:
    def __init__(self, folder: Path, database: Database, encoder: Encoder) -> None:
        self.engine = database.engine(METADATA)
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        self.encoder, self.folder = encoder, folder

    def ingest(self, source: Path, *, is_guessing: bool = True, default_modality: str = "") -> str:
        store = Store(self.engine, self.encoder.encoder_id, "me")
        worker = EmbeddingWorker(store, self.objects, FormatsHere(), self.encoder, claim_size=4)
        marks, files = Marks(self.engine), FileSource()
        reader = InputReader(store, marks, self.objects, FormatsHere(), b"key", 4)
        guesser = ModalityGuesser(self.encoder) if is_guessing else None
        servings = Servings(EncodersHere(it=self.encoder), lambda _: Serving(store, reader, worker, guesser))
        work = EmbeddingOperations(servings, marks, self.objects, files, self.folder / "cache", ANYWHERE)
        request = pb.StartIngestRequest(operation_id="op", source_uri=str(source), split="pool")
        request.default_modality = default_modality
        return work.ingest(Context(), request)  # type: ignore[arg-type]

    def told(self, uri: str) -> dict[int, tuple[str, str]]:
        """Of each image by the brightness of its first pixel."""
        images = read_rows(self.objects, uri, Image)
        levels = [int(FormatsHere.load(self.objects.read_bytes(image.image_uri))[0, 0, 0]) for image in images]
        return {level: (one.modality, one.modality_from) for level, one in zip(levels, images, strict=True)}


def image_of_class(number: int) -> NDArray[np.uint8]:
    pixels = picture(number)
    pixels[0, 0] = number
    return pixels


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Image n is of class n: 1 and 2 have a row that says so, 5 is of a rival, 3 is a CT whose file says NM."""
    folder = tmp_path / "pool"
    folder.mkdir()
    for number in (0, 1, 2, 4, 5):
        (folder / f"{number}.png").write_bytes(png(image_of_class(number)))
    values = image_of_class(3).astype(np.uint16)
    (folder / "3.dcm").write_bytes(dicom(values, Modality="NM", WindowCenter=128, WindowWidth=256))
    rows = ["image_path,modality", "0.png,", "1.png,mri", "2.png,sonar", "3.dcm,", "4.png,unknown", "5.png,"]
    (folder / "pool.csv").write_text("\n".join(rows))
    return folder / "pool.csv"


@pytest.fixture
def bench(tmp_path: Path, database: Database) -> Bench:
    return Bench(tmp_path / "state", database, ByBrightness())


def test_what_nobody_tells_is_guessed_and_marked_and_counted(bench: Bench, source: Path):
    uri = bench.ingest(source)
    told = bench.told(uri)
    assert told == {
        0: ("mri", "zero_shot"),
        1: ("mri", "manifest"),
        2: ("unknown", "manifest"),
        3: ("unknown", "header"),
        4: ("histopathology", "zero_shot"),
        5: ("unknown", ""),
    }
    counts = read_manifest(bench.objects, uri).counts
    assert counts["modality_zero_shot"] == 2
    assert counts["modality_manifest"] == 1
    assert counts["modality_unknown"] == 3


def test_a_guess_is_told_to_whoever_follows_the_images(bench: Bench, source: Path):
    bench.ingest(source)
    bus = Bus()
    OUTBOX.drain(bench.engine, bus)  # type: ignore[arg-type]
    told = [event for event in bus.events if event.type == topic_of(events_pb2.ImageEmbedded)]
    events = [events_pb2.ImageEmbedded.FromString(event.data) for event in told]
    last = {event.image_id: event.modality for event in events}
    assert sorted(last.values()) == ["histopathology", "mri", "mri", "unknown", "unknown", "unknown"]
    assert len(events) == len(last) + 2


def test_an_ingest_that_goes_on_guesses_the_same(bench: Bench, source: Path):
    assert bench.ingest(source) == bench.ingest(source)
    assert OUTBOX.waiting(bench.engine) == 6 + 6 + 2


def test_nothing_is_guessed_where_the_site_does_not_let_it_or_the_request_tells(bench: Bench, source: Path):
    assert bench.told(bench.ingest(source, is_guessing=False))[0] == ("unknown", "")


def test_what_the_request_tells_goes_before_a_guess(bench: Bench, source: Path):
    assert bench.told(bench.ingest(source, default_modality="ct"))[0] == ("ct", "request")


def test_the_encoder_without_weights_guesses_nothing(tmp_path: Path, database: Database, source: Path):
    bench = Bench(tmp_path / "state", database, StatisticsEncoder())
    assert bench.told(bench.ingest(source))[0] == ("unknown", "")


def test_a_checkpoint_guesses_what_its_own_library_says(tmp_path: Path):
    """Of random weights, whose logits are made large, so that the likeliest class takes nearly all."""
    folder = save_clip(tmp_path / "clip")
    model = CLIPModel.from_pretrained(folder)
    model.logit_scale.data.fill_(math.log(1e5))
    model.save_pretrained(folder)
    encoder = SiteEncoders({"clip": folder}, device="cpu").get("clip")
    assert encoder.logit_scale == pytest.approx(1e5, rel=1e-3)
    images = [np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8) for seed in range(8)]

    own = AutoModel.from_pretrained(folder).eval()
    processor, tokenizer = (kind.from_pretrained(folder) for kind in (AutoImageProcessor, AutoTokenizer))
    names = [*PROMPTS, *("unknown" for _ in RIVALS)]
    with torch.inference_mode():
        seen = own.get_image_features(**processor(images, return_tensors="pt")).pooler_output
        rows = []
        for prompts in (*PROMPTS.values(), *RIVALS):
            tokens = tokenizer(list(prompts), padding="max_length", max_length=16, return_tensors="pt")
            tokens.pop("token_type_ids", None)
            read = torch.nn.functional.normalize(own.get_text_features(**tokens).pooler_output, dim=1)
            rows.append(torch.nn.functional.normalize(read.mean(dim=0), dim=0))
        logits = own.logit_scale.exp() * torch.nn.functional.normalize(seen, dim=1) @ torch.stack(rows).T
        probabilities = logits.softmax(dim=1)
    expected = [names[int(row.argmax())] if row.max() >= 0.9 else "unknown" for row in probabilities]
    classes = class_vectors(encoder.embed_texts)
    assert guess_modalities(encoder.embed_images(images), classes, encoder.logit_scale or 0.0) == expected


def test_a_folder_of_open_clip_has_the_logit_scale_of_its_weights(tmp_path: Path):
    encoder = SiteEncoders({"lab": save_open_clip(tmp_path / "lab")}, device="cpu").get("lab")
    assert encoder.logit_scale == pytest.approx(1 / 0.07, rel=1e-4)  # as open_clip begins
