"""The console: how long its first page takes, and how large its pages are.

    python -m benchmarks.console [--runs N --images N] [--out FOLDER]

The six services and the pages run as `medq serve` has them, over databases that were filled with rows: runs that have ended,
each with scores of two arms and 1,000 entries of the ledger, and images of a pool. The first page is asked for 50 times, on
one connection, by a client that is logged in. With `--out` the pages of the runs of that folder and the pictures of their
galleries, one after the other, are measured as well; nothing in it changes, since it is copied first.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import httpx2
import numpy as np
import sqlalchemy as sa

from benchmarks.outcome import end
from services.controller.domain.ledger import Cost, Limits
from services.controller.migrations import SCHEMA as CONTROLLER
from services.controller.store.ledger import Ledger
from services.controller.store.runs import Result, RunStore
from services.embedded import Embedded
from services.embedding.migrations import SCHEMA as EMBEDDING
from services.embedding.store.tables import IMAGES, MEMBERS
from shared.database import create_engine, sqlite_url
from shared.logs import configure_logs
from shared.migrations import Schema
from shared.operation_rows import OperationRows
from shared.operation_table import SUCCEEDED
from shared.resources import database_file
from shared.rpc.channels import Channels
from web.app import create_app
from web.server import WebServer, address_of, bind
from web.settings import WebSettings

MOST_SECONDS = 1.0
MOST_BYTES = 500_000
_TIMES = 50
_ARMS, _ROUNDS, _COSTS = ("failure_contrast", "random"), 4, 1_000
_TOKEN = "of this benchmark"
_BATCH = 50_000


def fill(state: Path, n_runs: int, n_images: int) -> None:
    """Make the databases of a state folder: runs that have ended, and images of a pool."""
    engine = _engine(state, CONTROLLER)
    operations, store, ledger = OperationRows(engine, "controller", 60), RunStore(engine), Ledger(engine)
    for number in range(n_runs):
        run_id = f"run-{number:04d}"
        operations.insert(run_id, "medq.controller.v1.StartRunRequest", b"", run_id)
        operations.claim(run_id)
        operations.finish(run_id, 1.0, state=SUCCEEDED)
        store.create(run_id, {})
        store.move(run_id, _ARMS[-1], _ROUNDS - 1, "evaluate_test", "", "")
        store.end(run_id, "; ".join(f"{arm}: rounds" for arm in _ARMS), "", "")
        for arm in _ARMS:
            for round_number in range(_ROUNDS):
                for step in ("evaluate_dev", "evaluate_test", "train"):
                    store.record(run_id, Result(arm, round_number, step, detail=_detail(step, round_number)))
        costs = [Cost(f"{run_id}/a/0/oracle/{n}/1", "oracle", usd=0.001, is_simulated=True) for n in range(_COSTS)]
        ledger.reserve(run_id, costs, Limits(), run_id)
    engine.dispose()
    engine = _engine(state, EMBEDDING)
    for start in range(0, n_images, _BATCH):
        names = [f"{number:064x}" for number in range(start, min(start + _BATCH, n_images))]
        same = {"phash": "0" * 16, "width": 512, "height": 512, "window": "", "modality": "mri"}
        said = {"split": "pool", "modality": "mri", "patient": "", "session": ""}
        with engine.begin() as connection:
            connection.execute(
                sa.insert(IMAGES), [{"image_id": name, "image_uri": f"sha256:{name}", **same} for name in names]
            )
            connection.execute(sa.insert(MEMBERS), [{"image_id": name, "source_id": name, **said} for name in names])
    engine.dispose()


def _engine(state: Path, schema: Schema) -> sa.Engine:
    engine = create_engine(sqlite_url(database_file(state, schema)))
    schema.migrate_file(engine)
    return engine


def _detail(step: str, number: int) -> dict[str, object]:
    figures = {
        "value": 0.5 + 0.05 * number,
        "low": 0.4,
        "high": 0.8,
        "n": 900,
        "unscored": 0,
        "scored": 0.6,
        "coverage": 0.9,
    }
    return {} if step == "train" else {"overall": figures}


class Pages:
    """The services and the pages over a state folder, and a client that is logged in."""

    def __init__(self, state: Path, stack: ExitStack) -> None:
        embedded = stack.enter_context(Embedded(state))
        channels, bound = stack.enter_context(Channels(embedded.targets)), bind("127.0.0.1:0")
        settings = WebSettings(listen=address_of(bound), targets=embedded.targets, calls_per_minute=100_000)
        stack.enter_context(WebServer(create_app(settings, channels, start_token=_TOKEN, owner="benchmark"), bound))
        self._client = stack.enter_context(httpx2.Client(base_url=settings.url, trust_env=False, timeout=60))
        self._client.get("/login", params={"token": _TOKEN})

    def get(self, path: str) -> str:
        """A page."""
        answer = self._client.get(path)
        answer.raise_for_status()
        return answer.text

    def seconds(self, paths: Iterable[str]) -> list[float]:
        """How long each page or picture took."""
        found = []
        for path in paths:
            began = time.perf_counter()
            self.get(path)
            found.append(time.perf_counter() - began)
        return found


def sizes(pages: Pages) -> dict[str, int]:
    """Bytes of the list and of the pages of its runs, by path."""
    listed = pages.get("/runs")
    runs = sorted(set(re.findall('href="(/runs/[^"?]+)"', listed)))
    paths = [path for run in runs for path in (run, f"{run}/lineage", f"{run}/prototypes")]
    return {"/runs": len(listed.encode()), **{path: len(pages.get(path).encode()) for path in paths}}


def pictures(pages: Pages, paths: Iterable[str]) -> list[str]:
    """The addresses of the pictures on some pages, each once."""
    return sorted({found for path in paths for found in re.findall('<img[^>]* src="([^"]+)"', pages.get(path))})


def main() -> None:
    """Measure, and say whether the floors are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="a folder of `medq run`, whose pages are measured too")
    options = parser.parse_args()
    configure_logs("ERROR")
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        state = Path(name) / "state"
        fill(state, options.runs, options.images)
        pages = Pages(state, stack)
        first = pages.seconds(["/runs"] * _TIMES)
        n_bytes = {"/runs": len(pages.get("/runs").encode()), "/start": len(pages.get("/start").encode())}
    if options.out:
        with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
            copied = Path(shutil.copytree(options.out / "state", Path(name) / "state"))
            pages = Pages(copied, stack)
            found = sizes(pages)
            n_bytes |= {f"OUT{path}": n for path, n in found.items()}
            seconds = pages.seconds(pictures(pages, [path for path in found if path.endswith("/prototypes")]))
    median, slowest, largest = float(np.median(first)), max(first), max(n_bytes.values())
    end(
        {
            "first_page_median_s": median,
            "first_page_slowest_s": slowest,
            "bytes": n_bytes,
            "pictures": len(seconds),
            "pictures_s": sum(seconds),
        },
        f"The first page took {median:.3f} s, {slowest:.3f} s at most; the largest page has {largest:,} bytes.",
        is_met=slowest <= MOST_SECONDS and largest <= MOST_BYTES,
    )


if __name__ == "__main__":
    main()
