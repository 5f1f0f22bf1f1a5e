"""Keyed sampling noise: an answer depends neither on its batch nor on a restart.

Sampling from a softmax equals taking the largest of logit + Gumbel noise. Here the noise of a token is a pure function
of (seed, item, run, position), so whoever generates that token, whenever and beside whatever, draws the same one.
"""

from __future__ import annotations

import json
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument


def keyed_gumbel(seed: int, item_id: str, run: int, position: int, vocabulary_size: int) -> NDArray[np.float32]:
    """Standard Gumbel noise for one token position.

    Args:
        seed: The evaluation's seed.
        item_id: The item that is answered.
        run: Which of the R runs, from 0.
        position: Which token of the answer, from 0.
        vocabulary_size: v >= 1; a longer vocabulary keeps the noise of the shorter one as its head.

    Returns: (v,) float32, finite, independent between keys.
    Raises: InvalidArgument: the vocabulary is empty.
    Cost: O(v).   Source: Maddison et al. 2014; counter-based generator: Salmon et al. 2011 (Philox).
    """
    if vocabulary_size < 1:
        raise InvalidArgument("A vocabulary has tokens.", field="vocabulary_size", value=vocabulary_size)
    key = json.dumps([seed, item_id, run, position]).encode()
    digest = blake2b(key, digest_size=16).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    uniform = np.maximum(generator.random(vocabulary_size), np.finfo(np.float64).tiny)
    noise: NDArray[np.float32] = (-np.log(-np.log(uniform))).astype(np.float32)
    return noise


def keyed_seed(seed: int, item_id: str, run: int) -> int:
    """A seed of one answer, for a server that draws by itself.

    Args:
        seed: The evaluation's seed.
        item_id: The item that is answered.
        run: Which of the R runs, from 0.

    Returns: In [0, 2**32), the same whenever and beside whatever the answer is drawn.
    """
    digest = blake2b(json.dumps([seed, item_id, run]).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
