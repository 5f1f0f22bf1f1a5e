"""Small stored worlds for the evaluation service, and a model whose answers are a rule."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from services.evaluation.ports import Generation, Prompt, Sampling
from shared.objects.dataset import publish, write_dataset
from shared.rows.images import Image as ImageRow
from shared.rows.images import Input
from tests.support.rows import build

#: Answers a prompt.
Rule = Callable[[Prompt, Sampling], str]
#: What made the vectors of the image sets.
ENCODER_ID = "hashing-1"


class RuleModel:
    """Answers by a rule and notes what it was asked."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[tuple[str, int]] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        self.asked += [(prompt.item_id, prompt.run) for prompt in prompts]
        texts = [self.rule(prompt, sampling) for prompt in prompts]
        return [self.say(text) for text in texts]

    def say(self, text: str) -> Generation:
        """A token for each letter, and no end token."""
        return Generation(text, tuple(-0.5 for _ in text), len(text), tuple(range(1, len(text) + 1)))


def put_image(objects, level):
    """A stored grey PNG; its uri."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), level, dtype=np.uint8)).save(buffer, format="PNG")
    return objects.put_bytes(buffer.getvalue())


def object_file(folder, uri):
    """Where the store of a state folder keeps an object."""
    digest = uri.removeprefix("sha256:")
    return folder / "objects" / "objects" / digest[:2] / digest


def put_image_set(objects, levels, dimension=4):
    """An image set with one image a level, named by its place, and one that failed."""
    images, inputs = [], []
    for number, level in enumerate(levels):
        uri = put_image(objects, level)
        image_id = uri.removeprefix("sha256:")
        modality, source_id = "ct" if level < 128 else "mri", f"s{number}"
        images.append(
            build(ImageRow, image_id=image_id, image_uri=uri, modality=modality, source_id=source_id, split="dev")
        )
        inputs.append(build(Input, name=str(number), image_path="", image_id=image_id))
    inputs.append(
        build(
            Input,
            name="broken",
            image_path="",
            image_id="",
            status="failed",
            reason="no image",
            remedy="save it as PNG",
        )
    )
    images.sort(key=lambda image: image.image_id)
    vectors = np.stack([hashed_unit_vector(image.image_id, dimension) for image in images])
    files = {"images.jsonl": images, "report.jsonl": inputs, "vectors.npy": vectors}
    return put_dataset(objects, "image-set", files, encoder_id=ENCODER_ID)


def put_model(objects, name="model"):
    """A stored thing of kind `model`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(name)
        return write_dataset(objects, "model", Path(folder), counts={}, parents=[], configuration={}, seed=0)


def put_dataset(objects, kind, files, **configuration):
    """A stored dataset of rows and arrays."""
    return publish(objects, kind, files, counts={}, parents=[], configuration=configuration)


def hashed_unit_vector(text, dimension):
    """(dimension,) float32 of unit norm that depends on the text alone."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    vector = np.random.default_rng(seed).normal(size=dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
