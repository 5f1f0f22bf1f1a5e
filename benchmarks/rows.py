"""Reading a million rows of an image set: typed structs beside the other ways to describe rows.

`python -m benchmarks.rows` writes an image set of `--rows` rows into a folder, then reads it in a fresh process for each way, one
core, and prints seconds and the peak of resident memory. "Held" keeps every row in a list; the others look at one at a time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf import json_format
from pydantic import TypeAdapter

from infra.row_examples import EXAMPLES
from medq.embedding.v1 import events_pb2
from shared.objects.dataset import iterate_rows, publish, read_manifest, read_rows
from shared.objects.folder import FolderObjectStore
from shared.objects.store import uri_of
from shared.rows.encoding import lines_of
from shared.rows.images import Image

#: The fields that a message with nearly the same content has; a bare proto description of a row would have all.
_PROTO_FIELDS = ("image_id", "image_uri", "phash", "modality", "source_id", "patient", "session", "split")


def rows(n: int) -> Iterator[Image]:
    """Distinct rows, each with a window and hashes: the largest that occur."""
    example = EXAMPLES[Image]
    for i in range(n):
        digest = hashlib.sha256(str(i).encode()).hexdigest()
        hashed = {"patient": digest[:32], "session": digest[16:48], "source_id": digest[:32], "phash": digest[:16]}
        yield msgspec.structs.replace(example, image_id=digest, image_uri=f"sha256:{digest}", **hashed)  # type: ignore[misc]


def _lines(store: FolderObjectStore, uri: str) -> Iterable[bytes]:
    chunks = store.chunks(uri_of(read_manifest(store, uri).files["images.jsonl"].sha256))
    return filter(None, lines_of(chunks))


def _structs(store: FolderObjectStore, uri: str) -> int:
    return sum(row.width > 0 for row in iterate_rows(store, uri, Image))


def _structs_held(store: FolderObjectStore, uri: str) -> int:
    return len(read_rows(store, uri, Image))


def _dictionaries_held(store: FolderObjectStore, uri: str) -> int:
    return len([json.loads(line) for line in _lines(store, uri)])


def _pydantic(store: FolderObjectStore, uri: str) -> int:
    from pydantic import create_model

    fields: dict[str, Any] = dict.fromkeys(_PROTO_FIELDS, (str, ...))
    model = create_model(
        "ImageModel",
        licence=(str, ...),
        width=(int, ...),
        height=(int, ...),
        window=(dict[str, Any] | None, ...),
        **fields,
    )
    validate = TypeAdapter(model).validate_json
    return sum(validate(line).width > 0 for line in _lines(store, uri))  # type: ignore[attr-defined]


def _proto(store: FolderObjectStore, uri: str) -> int:
    n = 0
    for line in _lines(store, uri):
        content = json.loads(line)
        json_format.ParseDict({name: content[name] for name in _PROTO_FIELDS}, events_pb2.ImageEmbedded())
        n += 1
    return n


def _proto_by_constructor(store: FolderObjectStore, uri: str) -> int:
    n = 0
    for line in _lines(store, uri):
        content = json.loads(line)
        events_pb2.ImageEmbedded(**{name: content[name] for name in _PROTO_FIELDS})
        n += 1
    return n


WAYS: dict[str, Callable[[FolderObjectStore, str], int]] = {
    "msgspec structs": _structs,
    "msgspec structs, held": _structs_held,
    "dictionaries, held (as before)": _dictionaries_held,
    "pydantic models": _pydantic,
    "proto messages, JSON": _proto,
    "proto messages, by constructor": _proto_by_constructor,
}


def main() -> None:
    """Write, then read in each way; or read in one, as a child."""
    parser = argparse.ArgumentParser(description="Time and memory of reading a million typed rows.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--way", choices=WAYS, help="read in this way alone (a child of the benchmark)")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--uri")
    asked = parser.parse_args()
    if asked.way:
        began = time.perf_counter()
        n = WAYS[asked.way](FolderObjectStore(asked.store), asked.uri)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sys.stdout.write(json.dumps({"n": n, "seconds": time.perf_counter() - began, "bytes": peak}))
        return
    with tempfile.TemporaryDirectory() as name:
        store = FolderObjectStore(Path(name))
        began = time.perf_counter()
        uri = publish(store, "image-set", {"images.jsonl": rows(asked.rows)}, counts={}, parents=[], configuration={})
        sys.stdout.write(f"{asked.rows:,} rows written in {time.perf_counter() - began:.1f} s\n")
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.rows", "--way", way, "--store", name, "--uri", uri]
            done = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            sys.stdout.write(f"{way:32s} {done['seconds']:6.2f} s  {done['bytes'] / 1e9:5.2f} GB\n")


if __name__ == "__main__":
    main()
