"""Interactive search in the embedded index, beside FAISS: 1,000,000 vectors of 512 numbers, with and without a payload filter.

    python -m benchmarks.retrieval [--n 1000000] [--d 512] [--index FOLDER]

Each contender runs in a process of its own, one search thread, on the same vectors and queries; what is exact is found by numpy
over all vectors. FAISS (`IVF,SQ8`) may look at as many lists as it needs for the recall that is wanted. The filter is one
modality of five, and four queries of five ask for another modality than their own. With `--index` the index is kept in that
folder and used again, so that searches can be measured anew without the building. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from benchmarks.embeddings import MODALITIES, Block, Embeddings
from benchmarks.outcome import end

K = 10
MODES = ("unfiltered", "filtered")
MAX_P99_SECONDS, MIN_RECALL, MAX_BYTES = 0.008, 0.98, 6_000_000_000
_N_QUERIES, _N_WARM = 1_000, 100
_MEMORY = {"resident_bytes": "VmRSS", "anonymous_bytes": "RssAnon", "peak_bytes": "VmHWM"}
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
Rows = NDArray[np.int64]
Search = Callable[[int, NDArray[np.float32], str], Sequence[int]]


def modality_asked(query: int) -> int:
    """The modality that a filtered query asks for."""
    return query % len(MODALITIES)


def exact_rows(n: int, d: int) -> dict[str, Rows]:
    """The true K nearest rows of each query, (queries, K): of all, and of the modality that is asked for."""
    population = Embeddings(d)
    queries = population.queries(_N_QUERIES).vectors
    asked = np.array([modality_asked(q) for q in range(_N_QUERIES)])
    found = {mode: (np.full((_N_QUERIES, K), -2.0, np.float32), np.zeros((_N_QUERIES, K), np.int64)) for mode in MODES}
    for block in population.blocks(n):
        similarity = queries @ block.vectors.T
        for mode, (best, rows) in found.items():
            if mode == "filtered":
                similarity[asked[:, None] != block.modality[None, :]] = -2.0
            top = np.argpartition(-similarity, K - 1, axis=1)[:, :K]
            scores = np.concatenate([best, np.take_along_axis(similarity, top, 1)], axis=1)
            candidates = np.concatenate([rows, top + block.first], axis=1)
            order = np.argsort(-scores, axis=1)[:, :K]
            best[:], rows[:] = np.take_along_axis(scores, order, 1), np.take_along_axis(candidates, order, 1)
    return {mode: rows for mode, (_, rows) in found.items()}


def searched(search: Search, d: int, mode: str, exact: Rows) -> dict[str, float]:
    """Ask every query, one after the other: percentiles in seconds, of the clock and of the processor, and recall at K.

    On a machine that others use, the clock measures them too; the processor's time does not.
    """
    queries = Embeddings(d).queries(_N_QUERIES).vectors
    names = [MODALITIES[modality_asked(q)] if mode == "filtered" else "" for q in range(_N_QUERIES)]
    for q in range(_N_WARM):
        search(q, queries[q], names[q])
    seconds, busy, n_right = [], [], 0
    for q in range(_N_QUERIES):
        started, started_busy = time.perf_counter(), time.process_time()
        rows = search(q, queries[q], names[q])
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - started_busy)
        n_right += len(set(rows) & set(exact[q].tolist()))
    p50, p99 = np.percentile(seconds, [50, 99]).tolist()
    figures = {"p50_seconds": p50, "p99_seconds": p99, "p99_processor_seconds": float(np.percentile(busy, 99))}
    return {**figures, "recall_at_10": n_right / (K * _N_QUERIES)}


def medq(n: int, d: int, folder: Path, exact: dict[str, Rows]) -> dict[str, Any]:
    """The embedded index."""
    from services.retrieval.adapters.qdrant_edge import QdrantEdgeIndex

    index = QdrantEdgeIndex(folder)
    started = time.perf_counter()
    is_built = index.count_by_split() == {"pool": n}
    if not is_built:
        for block in Embeddings(d).blocks(n):
            index.upsert("benchmark", images_of(block), block.vectors)
    ingested = time.perf_counter()
    index.optimize()
    optimized = time.perf_counter()

    def search(_: int, vector: NDArray[np.float32], modality: str) -> list[int]:
        return [int(hit.image.image_id, 16) for hit in index.search(vector, K, modality=modality)]

    result: dict[str, Any] = {mode: searched(search, d, mode, exact[mode]) for mode in MODES}
    if not is_built:
        result |= {"ingest_seconds": ingested - started, "graph_seconds": optimized - ingested}
    result |= memory()
    index.close()
    return result


def images_of(block: Block) -> list[Any]:
    """Images with all that the index keeps beside a vector; the row is the id."""
    from services.retrieval.ports import IndexedImage

    images = []
    for row, modality in enumerate(block.modality.tolist(), start=block.first):
        name = f"{row:064x}"
        patient, session = f"{row // 20:032x}", f"{row // 5:032x}"
        images.append(
            IndexedImage(name, "pool", MODALITIES[modality], name[-16:], f"s-{row}", patient, session, f"sha256:{name}")
        )
    return images


def faiss(n: int, d: int, folder: Path, exact: dict[str, Rows]) -> dict[str, Any]:
    """FAISS: inverted lists of vectors of one byte a number; as few lists are probed as the wanted recall allows."""
    import faiss as module

    peer: Any = module  # its type hints know no keyword arguments
    peer.omp_set_num_threads(1)
    started = time.perf_counter()
    index, members = faiss_index(peer, n, d)
    result: dict[str, Any] = {"build_seconds": time.perf_counter() - started}
    selectors = {name: peer.IDSelectorBitmap(bits) for name, bits in members.items()}

    def search_with(n_probed: int) -> Search:
        def search(_: int, vector: NDArray[np.float32], modality: str) -> list[int]:
            chosen = {"sel": selectors[modality]} if modality else {}
            parameters = peer.SearchParametersIVF(nprobe=n_probed, **chosen)
            rows: list[int] = index.search(vector[None], K, params=parameters)[1][0].tolist()
            return rows

        return search

    for mode in MODES:
        n_probed = 4
        while True:
            result[mode] = {**searched(search_with(n_probed), d, mode, exact[mode]), "lists_probed": n_probed}
            if result[mode]["recall_at_10"] >= MIN_RECALL or n_probed >= index.nlist:
                break
            n_probed *= 2
    return {**result, **memory()}


def faiss_index(peer: Any, n: int, d: int) -> tuple[Any, dict[str, NDArray[np.uint8]]]:
    """The index, trained on the first vectors, and which rows are of each modality, a bit each."""
    n_lists = max(16, min(4096, n // 40))
    index = peer.index_factory(d, f"IVF{n_lists},SQ8", peer.METRIC_INNER_PRODUCT)
    is_member = np.zeros((len(MODALITIES), n), dtype=bool)
    waiting: list[Block] = []
    for block in Embeddings(d).blocks(n):
        is_member[block.modality, np.arange(block.first, block.first + len(block.vectors))] = True
        waiting.append(block)
        if not index.is_trained and block.first + len(block.vectors) >= min(n, 50 * n_lists):
            index.train(np.concatenate([one.vectors for one in waiting]))
        if index.is_trained:
            for one in waiting:
                index.add(one.vectors)
            waiting = []
    bits = np.packbits(is_member, axis=1, bitorder="little")
    return index, dict(zip(MODALITIES, bits, strict=True))


CONTENDERS: dict[str, Callable[[int, int, Path, dict[str, Rows]], dict[str, Any]]] = {"medq": medq, "faiss": faiss}


def memory() -> dict[str, int]:
    """Bytes in memory now, how many of them are not pages of files, and the most there ever were."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(status[key].split()[0]) * 1024 for name, key in _MEMORY.items()}


def main() -> None:
    """Compare the contenders, one process each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000, help="vectors")
    parser.add_argument("--d", type=int, default=512, help="numbers of a vector, at least 65")
    parser.add_argument("--index", type=Path, help="folder that keeps the index; else it is made anew and deleted")
    parser.add_argument("--only", choices=sorted(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--exact", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        with np.load(options.exact) as exact:
            result = CONTENDERS[options.only](options.n, options.d, options.index, dict(exact))
        sys.stdout.write(json.dumps(result) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exact.npz"
        exact_now = exact_rows(options.n, options.d)
        np.savez(path, unfiltered=exact_now["unfiltered"], filtered=exact_now["filtered"])
        found = {}
        for name in CONTENDERS:
            shape = ["--n", str(options.n), "--d", str(options.d), "--exact", str(path)]
            command = [sys.executable, "-m", "benchmarks.retrieval", "--only", name, *shape]
            command += ["--index", str(options.index or Path(folder) / "index")]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, **_THREADS})
            found[name] = json.loads(done.stdout)
    report(found, options.n, options.d)


def report(found: dict[str, dict[str, Any]], n: int, d: int) -> NoReturn:
    """Compare with the floors and leave."""
    words = []
    for name, one in found.items():
        for mode in MODES:
            p50, p99, recall = (one[mode][key] for key in ("p50_seconds", "p99_seconds", "recall_at_10"))
            words.append(f"{name} {mode} p50/p99 {p50 * 1000:.1f}/{p99 * 1000:.1f} ms at recall {recall:.3f}")
        words.append(f"{name} {one['resident_bytes'] / 1e9:.1f} GB")
    mine = found["medq"]
    is_met = (
        mine["filtered"]["p99_seconds"] < MAX_P99_SECONDS
        and mine["filtered"]["recall_at_10"] >= MIN_RECALL
        and mine["resident_bytes"] < MAX_BYTES
    )
    wanted = (
        f"wanted: filtered p99 under {MAX_P99_SECONDS * 1000:.0f} ms at {MIN_RECALL}, under {MAX_BYTES / 1e9:.0f} GB"
    )
    figures = {"n": n, "d": d, "load": os.getloadavg()[0], **found}
    end(figures, f"retrieval {n} x {d}: {'; '.join(words)} ({wanted})", is_met=is_met)


if __name__ == "__main__":
    main()
