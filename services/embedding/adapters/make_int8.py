"""Makes an image tower in whole numbers: exported to ONNX, its products of matrices quantised, its nearness measured."""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from services.embedding.adapters.encoder_folders import INT8_FACTS, INT8_TOWER, EncoderFolder
from services.embedding.adapters.int8_tower import LEAST_COSINE, open_session
from services.embedding.adapters.load_towers import load_towers
from services.embedding.adapters.towers import TowerEncoder, Towers
from services.embedding.ports import Pixels
from shared.errors import FailedPrecondition, InvalidArgument
from shared.synced import put_in_place

#: Fewer images say little about the cosine.
LEAST_IMAGES = 8


def make_int8(folder: EncoderFolder, images: Sequence[Pixels], least_cosine: float = LEAST_COSINE) -> dict[str, Any]:
    """Make the int8 tower of a folder and put it beside the weights, if it stays near enough to them.

    Args:
        folder: The encoder.
        images: A sample of what it will see, at least `LEAST_IMAGES`.
        least_cosine: To the vectors of the weights, for every image of the sample.

    Returns: The facts that were written beside it.

    Raises:
        InvalidArgument: Too few images.
        FailedPrecondition: For some image the cosine is below; nothing was written.
        Exception: The folder cannot be loaded, or its tower cannot be exported.
    """
    if len(images) < LEAST_IMAGES:
        raise InvalidArgument(
            "The sample is too small.",
            field="images",
            value=len(images),
            remedy=f"Give a folder of at least {LEAST_IMAGES} images of the pool.",
        )
    towers = load_towers(folder, "cpu")
    model = quantised(towers)
    session = open_session(model)
    name = session.get_inputs()[0].name
    eager = TowerEncoder("eager", towers).embed_images(images)
    small = TowerEncoder("int8", towers, lambda values: session.run(None, {name: values})[0]).embed_images(images)
    cosines = np.sum(eager * small, axis=1, dtype=np.float64)
    if not cosines.min() >= least_cosine:
        raise FailedPrecondition(
            f"The int8 tower is too far from the weights: the least cosine is {cosines.min():.4f}, not {least_cosine}.",
            field="encoder",
            value=str(folder.place),
            remedy="Use the encoder as it is.",
        )
    facts = {
        "encoder_digest": folder.digest,
        "least_cosine": float(cosines.min()),
        "mean_cosine": float(cosines.mean()),
        "n_images": len(images),
        "sha256": hashlib.sha256(model).hexdigest(),
        "made_with": {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__},
    }
    _write(folder.place / INT8_TOWER, model)
    _write(folder.place / INT8_FACTS, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())
    return facts


def quantised(towers: Towers) -> bytes:
    """The image tower as ONNX for one image: weights of linear layers are 8-bit, by column; inputs are rounded as they come.

    Weights keep to 7 bits, because processors without VNNI add two products in 16 bits.
    """
    black = towers.prepare(np.zeros((8, 8, 3), np.uint8))
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        small = Path(name) / "int8.onnx"
        with torch.inference_mode():
            program: Any = torch.onnx.export(towers.image_tower, (black,), dynamo=True, verbose=False)
        whole = program.model_proto
        del whole.graph.value_info[:]  # shapes of what was between, before the quantiser turns some of it
        quantize_dynamic(
            whole,
            small,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        return small.read_bytes()


def _write(place: Path, content: bytes) -> None:
    partial = place.with_name(f"{place.name}.partial")
    partial.write_bytes(content)
    put_in_place(partial, place)
