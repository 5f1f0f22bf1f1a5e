"""The process in which files are read: it may hang, swell or die, and the judge lives on.

`python -m tests.fuzz.file_child SEED` reads numbers of cases from standard input, one a line, and answers each on standard
output: "NUMBER begins" and then the outcome as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np

from services.embedding.adapters.dicom import quiet_pydicom
from tests.fuzz.limits import MOST_ADDRESS_SPACE
from tests.fuzz.pictures import PICTURES
from tests.fuzz.readers import READERS, TYPED, Wrong, require_remedy
from tests.fuzz.texts import TEXTS

#: Pictures come as often as all else together, DICOM most of all: more is read there that a stranger wrote.
KINDS = (*PICTURES, *TEXTS, "png", "tiff", "dicom", "dicom")


def case(seed: int, number: int) -> tuple[str, bytes]:
    """The kind and the bytes of a case; the same for the same seed and number."""
    kind = KINDS[number % len(KINDS)]
    rng = np.random.default_rng([seed, number])
    return kind, {**PICTURES, **TEXTS}[kind](rng)


def outcome_of(kind: str, data: bytes, folder: Path) -> tuple[str, str]:
    """What became of a file, and what is wrong with that ("" where nothing is)."""
    try:
        return READERS[kind](data, folder), ""
    except TYPED as error:
        try:
            require_remedy(error)
        except Wrong as wrong:
            return "refused", str(wrong)
        return "refused", ""
    except Wrong as wrong:
        return "accepted", str(wrong)
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "raised", f"{type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"


def main() -> None:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESS_SPACE, MOST_ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    quiet_pydicom()
    seed = int(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        number = int(line)
        kind, data = case(seed, number)
        with tempfile.TemporaryDirectory(prefix="medq-fuzz-") as name:
            before = _memory(reset=True)["VmRSS"]
            answers.write(f"{number} begins\n")
            answers.flush()
            what, wrong = outcome_of(kind, data, Path(name))
            after = _memory()
        told = {"what": what, "wrong": wrong, "peak": after["VmHWM"] - before, "rss": after["VmRSS"]}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _memory(reset: bool = False) -> dict[str, int]:
    """Bytes in memory now (`VmRSS`) and at most since the last reset (`VmHWM`)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line[:5]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}


if __name__ == "__main__":
    main()
