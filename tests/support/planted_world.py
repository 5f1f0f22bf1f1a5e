"""Runs `planted_services` and looks through all that it left and printed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from shared.objects.dataset import read_manifest
from shared.objects.folder import FolderObjectStore
from tests.support.planted import MARKERS, NAMED
from tests.support.scanning import Found, Scanner

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Left:
    """What the program left.

    Attributes:
        found: Where a marker was found.
        named: Files in which the name of an input was found, relative to the folder.
        reports: Those that may hold such names, by what the datasets in the store say.
    """

    found: set[Found]
    named: set[str]
    reports: set[str]


def take_in_and_look(folder: Path, *study: Path) -> Left:
    """Take planted identifiers in, and look through everything."""
    command = [sys.executable, "-m", "tests.support.planted_services", str(folder), *map(str, study)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=540)
    (folder / "seen" / "stdout").write_bytes(ended.stdout)
    (folder / "seen" / "stderr").write_bytes(ended.stderr)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr.decode()[-3000:])
    parts = ("seen", "state")
    found = {one for part in parts for one in Scanner(MARKERS).look_through(folder / part)}
    names = {f"{part}/{one.place}" for part in parts for one in Scanner({"": NAMED}).look_through(folder / part)}
    return Left(found, names, _reports(folder / "state" / "objects"))


def _reports(store: Path) -> set[str]:
    """The objects that are `report.jsonl` of an image set or a benchmark."""
    objects, found = FolderObjectStore(store), set()
    for path in (store / "objects").rglob("*"):
        if path.is_file() and path.read_bytes()[:1] == b"{":
            try:
                manifest = read_manifest(objects, f"sha256:{path.name}")
            except Exception:  # rows or a report
                continue
            if manifest.kind in ("image-set", "benchmark"):
                digest = manifest.files["report.jsonl"].sha256
                found.add(f"state/objects/objects/{digest[:2]}/{digest}")
    return found
