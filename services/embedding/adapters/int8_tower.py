"""The image tower in whole numbers (int8): made once from a folder's weights, and run by onnxruntime on a CPU.

It lies beside the weights with a file of facts: of which weights it was made, and how near its vectors are to theirs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from services.embedding.adapters.encoder_folders import INT8_FACTS, INT8_TOWER, EncoderFolder, sha256_of
from shared.checkpoints import incomplete

#: Least cosine between the vectors of an image by the int8 tower and by the weights themselves, over the images of the sample.
LEAST_COSINE = 0.99
_REMEDY = "make it again with `python -m services.embedding.quantise`, or remove both files"


@dataclass(frozen=True)
class Int8Tower:
    """The image tower in whole numbers; `digest` is that of the encoder that it makes."""

    session: onnxruntime.InferenceSession
    digest: str

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(1, 3, s, s) to (1, d)."""
        row: NDArray[np.float32] = self.session.run(None, {self.session.get_inputs()[0].name: values})[0]
        return row


def read_int8_tower(folder: EncoderFolder) -> Int8Tower:
    """The int8 tower of a folder that has one.

    Raises:
        InvalidArgument: It was made of other weights, is another file than its facts say, or is not near enough to them.
    """
    assert folder.int8 is not None  # the caller's
    place, facts = folder.int8
    digest, cosine = sha256_of(place), facts.get("least_cosine")
    if facts.get("encoder_digest") != folder.digest or facts.get("sha256") != digest:
        what = f"{INT8_TOWER} was not made of these weights, or is another file than {INT8_FACTS} says"
        raise incomplete(folder.place, what, _REMEDY)
    if not isinstance(cosine, float) or not cosine >= LEAST_COSINE:
        what = f"{INT8_FACTS} states a cosine below {LEAST_COSINE}"
        raise incomplete(folder.place, what, _REMEDY)
    whole = hashlib.sha256(f"{folder.digest} {digest}".encode()).hexdigest()
    return Int8Tower(open_session(place.read_bytes()), whole)


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session on the CPU with as many threads as torch would take here."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
