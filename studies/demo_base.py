"""The base model that the demo starts from, and how it was made: `python -m studies.demo_base WORK_FOLDER`.

It draws the base images of seed `SEED` into the work folder, trains the tiny checkpoint on them, and puts it into
`studies/demo_checkpoint/`. That takes some 20 minutes of one core. `digest.txt` there names the bytes. Another processor
rounds in another way, and may train other ones.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from studies.base_model import BaseTraining, pretrain_base
from studies.folder import write_study
from studies.plan import StudyPlan, draw_cells

#: Draws the cells that the model never sees, its images, and its first weights.
SEED: Final = 0
N_IMAGES: Final = 36_000
#: The question alone, answered by an option's text: a model this small learns that far better than letters.
ANSWER_FORM: Final = "open"
#: How a model that was trained so is asked, as a run's file has it.
EVALUATE: Final = {"runs": 5, "extractor": "likelihood", "answer_form": ANSWER_FORM}
LEFT_OUT, WEAK = draw_cells(SEED)
FOLDER = Path(__file__).with_name("demo_checkpoint")
_DIGEST = "digest.txt"
#: Beside the weights; how it was trained, without paths, is in training.json.
_IGNORED = (_DIGEST,)


def digest_of(folder: Path) -> str:
    """SHA-256 over names and bytes of a checkpoint's files."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.name not in _IGNORED):
        whole.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def base_plan(seed: int, n_base: int = N_IMAGES) -> StudyPlan:
    """The images of a base model, and no others."""
    left_out, weak = draw_cells(seed)
    return StudyPlan(n_base=n_base, n_pool=0, n_dev=0, n_test=0, n_replay=0, seed=seed, left_out=left_out, weak=weak)


def main() -> None:
    """Make it anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="Where the images and the training go; some 450 MB.")
    work = parser.parse_args().work
    write_study(work, base_plan(SEED), _told("images"))
    training = BaseTraining(seed=SEED, answer_form=ANSWER_FORM)
    model = pretrain_base(work, work / "base-model", training, _told("steps"))
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(model, FOLDER)
    (FOLDER / _DIGEST).write_text(digest_of(FOLDER) + "\n", encoding="ascii")


def _told(unit: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if done % 500 == 0 or done == total:
            sys.stdout.write(f"{done} of {total} {unit}\n")
            sys.stdout.flush()

    return tell


if __name__ == "__main__":
    main()
