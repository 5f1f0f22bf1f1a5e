"""Images that are read in child processes: hostile files end as refusals, with small memory, and the service goes on."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.embedding.adapters.child import Limits
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.readers import ImageReaders
from services.embedding.domain.images import Quarantined, StoredForm
from shared.errors import InvalidArgument, Unavailable
from tests.support.bombs import LEVELS, REFUSED, deflated, nested
from tests.support.pictures import dicom, picture, png

KEY = b"a key for tests only"
#: Beside the program. What a bomb promises is hundreds of MiB to gigabytes; what inflates may have 256 MiB.
SMALL = Limits(memory_mib=400, seconds=60)
_FRAGILE = ("-m", "tests.support.fragile_reader")


@pytest.fixture(scope="module")
def readers() -> Iterator[ImageReaders]:
    readers = ImageReaders(1, SMALL)
    yield readers
    readers.close()


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_with_a_remedy_before_it_takes_memory(name: str, readers: ImageReaders) -> None:
    with pytest.raises(InvalidArgument) as refused:
        readers.read(REFUSED[name](), KEY)
    assert refused.value.remedy
    assert "MiB." not in refused.value.message  # the limit was not needed
    assert "Doe" not in str(refused.value)


def test_a_child_gives_what_the_function_gives(readers: ImageReaders) -> None:
    for data in (png(picture(0)), dicom(LEVELS), deflated(dicom(LEVELS)), nested(50)):
        assert readers.read(data, KEY) == read_images(data, KEY)
    assert isinstance(readers.read(dicom(LEVELS, Modality="US"), KEY)[0], Quarantined)


def test_what_needs_more_memory_than_allowed_is_refused_and_the_next_image_is_read() -> None:
    readers = ImageReaders(1, Limits(memory_mib=64, seconds=60))
    large = png(np.tile(picture(0), (200, 200)))  # 41 million pixels
    try:
        with pytest.raises(InvalidArgument, match="needs more than 64 MiB"):
            readers.read(large, KEY)
        assert isinstance(readers.read(png(picture(0)), KEY)[0], StoredForm)
    finally:
        readers.close()


def test_what_takes_longer_than_allowed_is_refused_and_the_next_image_is_read() -> None:
    readers = ImageReaders(1, Limits(seconds=5), _FRAGILE)
    try:
        with pytest.raises(InvalidArgument, match="takes longer than 5 s"):
            readers.read(b"for ever", KEY)
        assert isinstance(readers.read(png(picture(0)), KEY)[0], StoredForm)
    finally:
        readers.close()


def test_an_image_that_kills_its_process_is_tried_three_times_and_then_refused(tmp_path: Path) -> None:
    readers = ImageReaders(1, Limits(), _FRAGILE)
    deaths = tmp_path / "deaths"
    try:
        with pytest.raises(InvalidArgument, match="ended the process that reads it 3 times"):
            readers.read(b"kill me and note it in " + os.fsencode(deaths), KEY)
        assert deaths.read_bytes() == b"x" * 3
        assert isinstance(readers.read(png(picture(0)), KEY)[0], StoredForm)
    finally:
        readers.close()


@pytest.mark.parametrize("data", [b"answer nonsense", b"answer nothing"])
def test_a_process_that_answers_something_else_counts_as_dead(data: bytes) -> None:
    readers = ImageReaders(1, Limits(), _FRAGILE)
    try:
        with pytest.raises(InvalidArgument, match="3 times"):
            readers.read(data, KEY)
    finally:
        readers.close()


def test_a_program_that_does_not_start_is_no_fault_of_the_image() -> None:
    readers = ImageReaders(1, Limits(), ("-c", "raise SystemExit(1)"))
    try:
        with pytest.raises(Unavailable):
            readers.read(png(picture(0)), KEY)
    finally:
        readers.close()


def test_a_reader_knows_neither_the_service_nor_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDQ_EMBEDDING_HASH_KEY", "a key for tests only")
    readers = ImageReaders(1, Limits(), _FRAGILE)
    try:
        with pytest.raises(InvalidArgument) as told:
            readers.read(b"tell what you know", KEY)
    finally:
        readers.close()
    modules, _, variables = told.value.message.partition("|")
    assert not {"grpc", "sqlalchemy", "medq", "pandas", "minio", "kafka"} & set(modules.split())
    assert not [name for name in variables.split() if name.startswith("MEDQ")]
    assert "pydicom" in modules.split()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's rule is Linux's")
def test_readers_end_when_their_service_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from services.embedding.adapters.readers import *; from tests.support.pictures import *\n"
        "readers = ImageReaders(1, Limits()); readers.read(png(picture(0)), b'key')\n"
        "print(next(iter(readers._children))._process.pid, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as service:
        assert service.stdout is not None
        exit_of_reader = os.pidfd_open(int(service.stdout.readline()))
        service.send_signal(signal.SIGKILL)
        assert select.select([exit_of_reader], [], [], 30)[0], "the reader outlived its service"
        os.close(exit_of_reader)
