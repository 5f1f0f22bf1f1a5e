"""Limits that stand in several places: the form of names and ids that callers choose, the largest batch and training."""

from __future__ import annotations


def name_pattern(longest: int, also: str = "") -> str:
    """A regular expression for names: a letter or digit, then letters, digits, ".", "_", "-" and what else is allowed."""
    return f"[A-Za-z0-9][A-Za-z0-9._{also}-]{{0,{longest - 1}}}"


#: Of a run and of an arm, as the file of a run names them.
NAME = name_pattern(40)
RUN_ID = name_pattern(100)
#: Of an encoder; a part of its id and so of the names of collections.
ENCODER_NAME = "[a-z0-9][a-z0-9._-]{0,39}"
#: The encoder that needs no weights.
STATISTICS = "statistics"
#: `<run>/<arm>/<round>/<step>`.
OPERATION_ID = name_pattern(200, "/")
#: The same in words, for errors.
OPERATION_ID_FORM = "Up to 200 letters, digits, '.', '_', '-', '/'; begin with a letter or digit."
#: Largest image, in pixels; checked before anything of it is decoded.
MOST_PIXELS = 64_000_000
#: Samples of one forward pass, and forward passes of one step.
MOST_IN_A_BATCH = 65_536
#: Optimiser steps of one training.
MOST_STEPS = 10_000_000
#: Samples of a dataset version that replay fills up.
MOST_SAMPLES = 10_000_000
