"""How much richer than the pool is what each strategy selects: `python -m studies.selection_richness`.

The left-out cells stand for what a model fails at, and their share among the selected images is what a selection is worth.
**No model is asked here: which questions about dev fail is simulated**, by one chance for the left-out cells and a small one for
the others. Phantoms, encoder, clustering, Eq. 2, contrast and draw are those of the services. Nothing is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.evaluation.domain.clustering import cluster_failures
from services.evaluation.domain.failure_text import failure_text
from services.evaluation.domain.features import joint_features, unit_rows
from services.retrieval.domain.contrast import cells_of, failure_contrast
from services.retrieval.domain.nearest import nearest
from services.retrieval.domain.sampling import Candidates, Strategy, draw_samples
from services.retrieval.domain.similarity import tau_of_share
from studies.findings import plan_findings
from studies.folder import make_image, make_questions
from studies.images.optics import to_bytes
from studies.plan import StudyPlan
from studies.questions import LETTERS, Finding, Question

FAILS_LEFT_OUT, FAILS_KNOWN = 0.7, 0.04
"""SIMULATED: the chance that a question about an image of a left-out cell, or of another, is a failure."""

_NEIGHBOURS = 5
_TAU = 0.75
_POOL_SHARE = 0.05

Vectors = NDArray[np.float32]
Selected = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Images of a split: what each shows, whether that was left out, and its vector."""

    findings: Sequence[Finding]
    is_left_out: NDArray[np.bool_]
    vectors: Vectors


@dataclass(frozen=True, eq=False)
class Mined:
    """What a model's failures on dev would give: e_k by cell, failed items by image, prototypes with their profiles."""

    error_rates: Mapping[str, float]
    failed_items: Sequence[Mapping[str, int]]
    prototypes: Vectors
    profiles: Sequence[Mapping[str, float]]


def main() -> None:
    """Print a table: strategy by seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pool", type=int, default=4000, help="images of the pool")
    parser.add_argument("--dev", type=int, default=400, help="images of dev")
    parser.add_argument("--budget", type=int, default=100, help="images to select")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    asked = parser.parse_args()
    rows: dict[str, list[str]] = {}
    for seed in asked.seeds:
        plan = StudyPlan(n_pool=asked.pool, n_dev=asked.dev, seed=seed, rare_ratio=0.03)
        pool, dev = drawn(plan, "pool"), drawn(plan, "dev")
        mined = mine(plan, dev)
        for name, select in STRATEGIES.items():
            selected = select(pool, dev, mined, asked.budget, np.random.default_rng(seed))
            share = pool.is_left_out[selected].mean() if len(selected) else 0.0
            rows.setdefault(name, []).append(f"{share:.2f} of {len(selected)}")
        rows.setdefault("(the pool)", []).append(f"{pool.is_left_out.mean():.2f} of {asked.pool}")
    print(f"share of left-out cells among {asked.budget} selected, by seed {asked.seeds}")  # noqa: T201
    for name, shares in rows.items():
        print(f"{name:40s}" + "".join(f"{share:>16s}" for share in shares))  # noqa: T201


def drawn(plan: StudyPlan, split: str) -> Split:
    """The phantoms of a split, drawn and encoded."""
    encoder = StatisticsEncoder()
    findings = plan_findings(plan, split)
    vectors = []
    for number, finding in enumerate(findings):
        pixels = to_bytes(make_image(finding, plan.first_source(split) + number, plan.size))
        vectors.append(encoder.embed_images([pixels[..., None] if pixels.ndim == 2 else pixels])[0])
    is_left_out = np.array([(finding.modality, finding.attribute) in plan.left_out for finding in findings])
    return Split(findings, is_left_out, np.array(vectors))


def mine(plan: StudyPlan, dev: Split) -> Mined:
    """Simulated failures on dev, then what mining makes of them: Eq. 1 by cell, clusters of joint features, centroids."""
    rng = np.random.default_rng([plan.seed, 99])
    n_items: dict[str, int] = {}
    failed_items: list[dict[str, int]] = [{} for _ in dev.findings]
    failed_rows, texts = [], []
    for row, finding in enumerate(dev.findings):
        cell = cell_of(finding)
        asked = plan.names_asked(finding.modality, "dev")
        for question in make_questions(finding, asked, "dev", plan.first_source("dev") + row):
            n_items[cell] = n_items.get(cell, 0) + 1
            if rng.random() < (FAILS_LEFT_OUT if dev.is_left_out[row] else FAILS_KNOWN):
                failed_items[row][cell] = failed_items[row].get(cell, 0) + 1
                failed_rows.append(row)
                texts.append(_text(question, rng))
    features = joint_features(dev.vectors[failed_rows], StatisticsEncoder().embed_texts(texts), visual_weight=0.5)
    labels = cluster_failures(features).labels
    centres, profiles = [], []
    for label in range(labels.max() + 1):
        members = [failed_rows[place] for place in np.flatnonzero(labels == label)]
        centres.append(dev.vectors[members].mean(axis=0))
        cells = [cell_of(dev.findings[row]) for row in members]
        profiles.append({cell: cells.count(cell) / len(cells) for cell in sorted(set(cells))})
    failures = {cell: sum(items.get(cell, 0) for items in failed_items) for cell in n_items}
    error_rates = {cell: failures[cell] / n for cell, n in n_items.items()}
    return Mined(error_rates, failed_items, unit_rows(np.array(centres)).astype(np.float32), profiles)


def by_prototypes(tau: float | None) -> Callable[..., Selected]:
    """Eq. 2 with this threshold, or with the one that leaves `_POOL_SHARE` of the pool, then the draw."""

    def select(pool: Split, dev: Split, mined: Mined, budget: int, rng: np.random.Generator) -> Selected:
        cosines, found_by = nearest(pool.vectors, mined.prototypes, 1)
        threshold = tau_of_share(cosines[:, 0], _POOL_SHARE) if tau is None else tau
        found = np.flatnonzero(cosines[:, 0] > np.float32(threshold))
        candidates = Candidates(_ids(found), found_by[found, 0])
        return found[_draw(candidates, mined.profiles, mined.error_rates, Strategy.FAILURE_DRIVEN, budget, rng)]

    return select


def by_contrast(pool: Split, dev: Split, mined: Mined, budget: int, rng: np.random.Generator) -> Selected:
    """Contrast, then the draw by cell."""
    is_failure = np.array([bool(items) for items in mined.failed_items])
    failed_items = [items for items in mined.failed_items if items]
    contrast = failure_contrast(pool.vectors, dev.vectors[is_failure], dev.vectors[~is_failure], _NEIGHBOURS)
    found = np.flatnonzero(contrast.value > 0)
    names = sorted(mined.error_rates)
    cells = cells_of(contrast.failures[found], failed_items, names)
    candidates = Candidates(_ids(found), cells, contrast.value[found])
    profiles = [{name: 1.0} for name in names]
    return found[_draw(candidates, profiles, mined.error_rates, Strategy.FAILURE_CONTRAST, budget, rng)]


def by_contrast_alone(pool: Split, dev: Split, mined: Mined, budget: int, rng: np.random.Generator) -> Selected:
    """The largest contrasts, whatever the cell: what the weights by cell cost."""
    is_failure = np.array([bool(items) for items in mined.failed_items])
    contrast = failure_contrast(pool.vectors, dev.vectors[is_failure], dev.vectors[~is_failure], _NEIGHBOURS)
    return np.argsort(-contrast.value, kind="stable")[:budget]


def at_random(pool: Split, dev: Split, mined: Mined, budget: int, rng: np.random.Generator) -> Selected:
    """Every image alike."""
    return rng.permutation(len(pool.vectors))[:budget]


STRATEGIES: Mapping[str, Callable[..., Selected]] = {
    "random": at_random,
    f"failure_driven, tau_sim {_TAU}": by_prototypes(_TAU),
    f"failure_driven, tau_pool_share {_POOL_SHARE}": by_prototypes(None),
    "failure_contrast": by_contrast,
    "failure_contrast without cells": by_contrast_alone,
}


def cell_of(finding: Finding) -> str:
    """The name of a cell, as the services have it."""
    return f"modality:{finding.modality}+attribute:{finding.attribute}"


def _draw(
    candidates: Candidates,
    profiles: Sequence[Mapping[str, float]],
    error_rates: Mapping[str, float],
    strategy: Strategy,
    budget: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    return draw_samples(candidates, profiles, error_rates, strategy=strategy, alpha=1.0, budget=budget, rng=rng).rows


def _ids(rows: NDArray[np.int64]) -> list[str]:
    return [f"{row:08d}" for row in rows]


def _text(question: Question, rng: np.random.Generator) -> str:
    """The text of a failure; which wrong option was chosen is left to chance."""
    options = dict(zip(LETTERS, question.options, strict=False))
    wrong = sorted(set(options) - {question.answer})
    return failure_text(question.text, options, [wrong[int(rng.integers(len(wrong)))]])


if __name__ == "__main__":
    main()
