"""Clustering 10,000 failures with the silhouette choice, beside one linkage of fastcluster and scikit-learn.

    python -m benchmarks.clustering [--points 10000] [--dimensions 512] [--sklearn]

Each contender runs in a process of its own, one thread, on the same planted points; one JSON object goes to standard
output: seconds and peak memory of each, and ours as a ratio of one `fastcluster.linkage` of the same vectors. That linkage
computes its distances itself, as ours must; `fastcluster_condensed` is the linkage alone, of distances that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from benchmarks.outcome import end

MAX_RATIO, MAX_BYTES = 1.3, 2_000_000_000
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_SKLEARN_CUTS = (2, 15, 30, 60, 64)


def planted_points(n: int, d: int, n_clusters: int = 60) -> NDArray[np.float32]:
    """(n, d) float32 unit rows around `n_clusters` random directions, cosine about 0.8 to their centre."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n_clusters, d))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    points = centres[rng.integers(n_clusters, size=n)] + 0.75 * rng.normal(size=(n, d)) / np.sqrt(d)
    unit: NDArray[np.float32] = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return unit


def ours(points: NDArray[np.float32]) -> dict[str, object]:
    """Linkage, 63 silhouettes and the chosen cut."""
    from services.evaluation.domain.clustering import cluster_failures

    found = cluster_failures(points, max_clusters=64)
    return {"n_clusters": found.n_clusters, "silhouette": found.silhouettes[found.n_clusters]}


def fastcluster_linkage(points: NDArray[np.float32]) -> dict[str, object]:
    """One linkage from vectors, no cut and no silhouette."""
    import fastcluster

    fastcluster.linkage(points.astype(np.float64), method="average", metric="cosine")
    return {}


def fastcluster_condensed(points: NDArray[np.float32]) -> dict[str, object]:
    """One linkage from distances that are already there; only the linkage is timed."""
    import fastcluster
    from scipy.spatial.distance import squareform

    square = 1.0 - points.astype(np.float64) @ points.astype(np.float64).T
    np.fill_diagonal(square, 0)
    condensed = np.maximum(squareform(square, checks=False), 0)
    del square
    started = time.perf_counter()
    fastcluster.linkage(condensed, method="average", preserve_input=False)
    return {"linkage_seconds": time.perf_counter() - started}


def sklearn(points: NDArray[np.float32]) -> dict[str, object]:
    """One clustering and five silhouettes by scikit-learn."""
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import pairwise_distances, silhouette_score

    distances = pairwise_distances(points, metric="cosine")
    np.fill_diagonal(distances, 0)
    scores = {}
    for k in _SKLEARN_CUTS:
        model = AgglomerativeClustering(n_clusters=k, metric="precomputed", linkage="average")
        labels = model.fit_predict(distances)
        scores[k] = float(silhouette_score(distances, labels, metric="precomputed"))
    return {"silhouettes": scores}


CONTENDERS: dict[str, Callable[[NDArray[np.float32]], dict[str, object]]] = {
    "medq": ours,
    "fastcluster": fastcluster_linkage,
    "fastcluster_condensed": fastcluster_condensed,
    "sklearn": sklearn,
}


def measure(name: str, n: int, d: int) -> dict[str, object]:
    """Run one contender in this process: its result, seconds, and the peak memory of the process."""
    points = planted_points(n, d)
    CONTENDERS[name](points[:200])  # imports and first calls are not what is compared
    started = time.perf_counter()
    result = CONTENDERS[name](points)
    seconds = time.perf_counter() - started
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": result.pop("linkage_seconds", seconds), "peak_bytes": peak_bytes, **result}


def main() -> None:
    """Compare the contenders, one process each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--sklearn", action="store_true", help="also scikit-learn (slow)")
    parser.add_argument("--only", choices=sorted(CONTENDERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        result = measure(options.only, options.points, options.dimensions)
        sys.stdout.write(json.dumps(result) + "\n")
        return
    found = {}
    for name in CONTENDERS:
        if name != "sklearn" or options.sklearn:
            shape = ["--points", str(options.points), "--dimensions", str(options.dimensions)]
            command = [sys.executable, "-m", "benchmarks.clustering", "--only", name, *shape]
            done = subprocess.run(command, check=True, capture_output=True, env={**os.environ, **_THREADS})
            found[name] = json.loads(done.stdout)
    report(found, options.points, options.dimensions)


def report(found: dict[str, dict[str, Any]], n: int, d: int) -> NoReturn:
    """Compare with the floors and leave."""
    mine, peer = found["medq"], found["fastcluster"]
    ratio = mine["seconds"] / peer["seconds"]
    words = [f"{name} {one['seconds']:.1f} s, {one['peak_bytes'] / 1e9:.1f} GB" for name, one in found.items()]
    line = f"clustering {n} x {d}: {'; '.join(words)}; {ratio:.2f} of one fastcluster linkage (wanted: {MAX_RATIO} at most)"
    figures = {"points": n, "dimensions": d, "ratio_to_fastcluster": ratio, **found}
    end(figures, line, is_met=ratio <= MAX_RATIO and mine["peak_bytes"] < MAX_BYTES)


if __name__ == "__main__":
    main()
