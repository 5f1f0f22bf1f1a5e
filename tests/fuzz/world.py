"""A small world to fire at: files that may be read, files that may not, datasets of every kind, good and rotten."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from infra.row_examples import EXAMPLES
from shared.objects.dataset import publish
from shared.objects.folder import FolderObjectStore
from shared.objects.store import ObjectStore
from shared.rows.fields import Row
from shared.rows.images import Image
from shared.rows.kinds import KINDS
from tests.fuzz.limits import MARKER
from tests.support.pictures import dicom, picture, png, write_pool
from tests.support.rows import build
from tests.support.run_files import write_run_files

N_POOL, N_DEV = 6, 4
_COLUMNS = "index\timage_path\tquestion\tA\tB\tanswer\tmodality\n"


@dataclass
class World:
    """Where things are.

    Attributes:
        folder: Everything.
        run_yaml: A run whose files are all there, in `inputs/run`.
        uris: Of datasets and objects, by what they are; those of operations come in when these have ended.
    """

    folder: Path
    run_yaml: str = ""
    uris: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def inputs(self) -> Path:
        """What callers may have read."""
        return self.folder / "inputs"

    @property
    def secrets(self) -> Path:
        """What nobody may."""
        return self.folder / "secrets"

    def objects(self) -> FolderObjectStore:
        return FolderObjectStore(self.state / "objects", synced=False)


def make_world(folder: Path) -> World:
    """Write the files and store the datasets that do not come from operations."""
    world = World(folder)
    world.inputs.mkdir(parents=True)
    world.secrets.mkdir()
    (world.secrets / "token").write_text(f"{MARKER}\n")
    (world.secrets / "picture.png").write_bytes(png(picture(99)))
    write_pool(world.inputs / "pool", N_POOL)
    write_pool(world.inputs / "dev", N_POOL + N_DEV)
    for number in range(N_POOL):
        (world.inputs / "dev" / f"{number:03}.png").unlink()
    (world.inputs / "pool" / "scan.dcm").write_bytes(dicom(picture(50).astype(np.uint16) * 16, PatientName=MARKER))
    (world.inputs / "pool" / "notes.txt").write_text(f"{MARKER}\n")
    numbers = range(N_POOL, N_POOL + N_DEV)
    rows = (f"{n}\t{n:03}.png\tIs it blurred?\tYes\tNo\t{'AB'[n % 2]}\tct\n" for n in numbers)
    (world.inputs / "dev.tsv").write_text(_COLUMNS + "".join(rows))
    # A list of patients without a header line: whoever quotes its first line tells a name.
    (world.inputs / "worklist.csv").write_text(f"{MARKER},0815,1931-01-01\nsomebody,0816,1931-01-02\n")
    (world.inputs / "worklist.tsv").write_text(f"index\t{MARKER}\t{MARKER}\n1\ta\tb\n")
    world.run_yaml = write_run_files(world.inputs / "run")
    _write_odd(world)
    _store(world)
    return world


def _write_odd(world: World) -> None:
    """Things that are no files, and links that lead away."""
    odd = world.inputs / "odd"
    (odd / "folder.png").mkdir(parents=True)
    (odd / "good.png").write_bytes(png(picture(60)))
    os.mkfifo(odd / "pipe.png")
    os.mkfifo(world.inputs / "pipe.tsv")
    links = {"dangling.png": "nowhere.png", "loop.png": "loop.png", "zero.png": "/dev/zero"}
    links |= {"outside.png": str(world.secrets / "picture.png"), "token.png": str(world.secrets / "token")}
    for name, target in links.items():
        (odd / name).symlink_to(target)
    (world.inputs / "token.tsv").symlink_to(world.secrets / "token")
    (world.inputs / "secrets").symlink_to(world.secrets)
    model = world.inputs / "linked-model"
    model.mkdir()
    for path in (world.inputs / "run" / "model").iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    (model / "vocab.json").symlink_to(world.secrets / "token")
    (model / "notes.txt").write_text(f"{MARKER}\n")


def _store(world: World) -> None:
    """A dataset of each kind with the example of its rows about a stored image, and rotten ones of which the rows are none."""
    objects = world.objects()
    image = objects.put_bytes(png(picture(70)))
    image_id = image.removeprefix("sha256:")
    world.uris["image"] = image
    for kind, description in KINDS.items():
        contents: dict[str, object] = {}
        for name, file in description.files.items():
            if isinstance(file.content, type) and "*" not in name:
                row = _about(EXAMPLES[file.content], image_id, image)
                contents[name] = [row] if name.endswith(".jsonl") else row
            elif name.endswith(".npy"):
                contents[name] = np.ones((1, 8), dtype=np.float32) / np.float32(np.sqrt(8))
        contents = contents or {"notes.json": _about(EXAMPLES[Image], image_id, image)}
        if kind == "checkpoint":
            continue
        world.uris[kind] = publish(objects, kind, contents, counts={}, parents=[], configuration={})  # type: ignore[arg-type]
        for number, rot in enumerate(_ROT):
            world.uris[f"{kind}-rotten-{number}"] = _rotten(objects, kind, rot)
    for number, text in enumerate(_NO_MANIFESTS):
        world.uris[f"no-manifest-{number}"] = objects.put_bytes(text)


def _about(row: Row, image_id: str, image_uri: str) -> Row:
    known = {"image_id": image_id, "image_uri": image_uri}
    return build(type(row), **{name: value for name, value in known.items() if name in row.__struct_fields__})


#: File contents that no service writes; somebody who may import a model can have any bytes stored.
_ROT = (
    b"", b"\0" * 100, b"{}\n", b"[" * 100_000, b'{"image_id": 1}\n', b"null\n", "\u2028\n".encode(),
    b'{"a": ' + b"9" * 5000 + b"}",
    b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000), }" + b" " * 40 + b"\n",
    b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b" " * 50 + b"\n",
)  # fmt: skip
_ENTRY = {"sha256": "0" * 64, "bytes": 1}
_ONE = {
    "kind": "image-set", "files": {"images.jsonl": _ENTRY}, "counts": {}, "parents": [], "configuration": {}, "seed": 0,
    "code_version": "0", "format": "medq-dataset-1",
}  # fmt: skip
_WRONG: tuple[dict[str, object], ...] = (
    {}, {"files": {"../../escaped": _ENTRY}}, {"files": {"images.jsonl": {**_ENTRY, "bytes": 2**70}}}, {"kind": "nothing"},
    {"schema_version": 99}, {"files": {"images.jsonl": {"sha256": "x", "bytes": 1}}}, {"files": {}}, {"parents": ["x"]},
    {"files": {"a\0b": _ENTRY}}, {"files": {"images.jsonl": _ENTRY, "images.jsonl/x": _ENTRY}}, {"seed": 2**80},
)  # fmt: skip
_NO_MANIFESTS = (
    *(json.dumps({**_ONE, **wrong}).encode() for wrong in _WRONG),
    b"[" * 100_000, b"{}", b"\xff\xfe", b"", b"a\tb\n1\t2\n", b"PAR1" + b"\0" * 50,
)  # fmt: skip


def _rotten(objects: ObjectStore, kind: str, content: bytes) -> str:
    """A manifest of a kind all of whose files hold the same, whatever they should."""
    uri = objects.put_bytes(content)
    entry = {"sha256": uri.removeprefix("sha256:"), "bytes": len(content), "rows": 1}
    names = [name for name in KINDS[kind].files if "*" not in name] or ["config.json"]
    manifest = {
        "kind": kind, "files": dict.fromkeys([*names, "config.json"], entry), "counts": {}, "parents": [],
        "configuration": {}, "seed": 0, "code_version": "0", "schema_version": KINDS[kind].version, "format": "medq-dataset-1",
    }  # fmt: skip
    return objects.put_bytes(json.dumps(manifest).encode())
