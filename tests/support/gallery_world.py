"""What the stand-ins of the services give for a run with galleries: searches with failures, many drawn images, hostile texts."""

from __future__ import annotations

from typing import Any

from shared.rows.annotation import REJECTED_BY_EXPERT, Decision, Unanswered
from shared.rows.benchmark import Item
from shared.rows.failures import Anchor, CapabilityErrorRate, Failure, PrototypeRow
from shared.rows.selection import Sample, Selection
from shared.rows.training import Dropped, Lineage
from tests.support.evaluation import put_image
from tests.support.loop_services import MODALITIES, N_ITEMS
from tests.support.rows import build

HOSTILE = '"><script>alert(1)</script>'
CELL = "modality:ct+attribute:metal_artifact"
HOSTILE_CELL = f"modality:ct+attribute:{HOSTILE}"
OPTIONS = {"A": "None", "B": f"Motion {HOSTILE}", "C": "Metal"}


def fill_galleries(services: Any, n_drawn: int = 1000) -> None:
    """Have a run of one round search by prototype `p000`, which draws all but three images, and by a cell with a hostile name.

    Of the first images one is trained on, one left out, one rejected by the expert, one undecided. Items `i2` to `i7` fail.
    """
    images = [put_image(services.objects, 40 + 20 * n).removeprefix("sha256:") for n in range(N_ITEMS)]
    dev = {"options": OPTIONS, "answer": "C", "attribute": "metal_artifact"}
    failed = range(2, N_ITEMS)
    by_cell = {n: CELL if n < N_ITEMS - 1 else HOSTILE_CELL for n in failed}
    prototype = build(
        PrototypeRow,
        prototype_id="p000",
        members=tuple(f"i{n}" for n in failed if by_cell[n] == CELL),
        image_ids=tuple(images[n] for n in failed),
        profile={CELL: 1.0},
    )
    samples = [_sample(n, images[n % len(images)], n < n_drawn - 3) for n in range(n_drawn)]
    decisions = [_decision(n, images[n], "C" if n < 2 else None) for n in range(3)]
    undecided = {"options": OPTIONS, "image_id": images[0]}
    services.files |= {
        "import_dev": {
            "items.jsonl": [
                build(Item, item_id=f"i{n}", image_id=images[n], question=f"Is it sharp? {n} {HOSTILE}",
                      modality=MODALITIES[n % 2], split="dev", **dev)
                for n in range(N_ITEMS)
            ]
        },
        "mine_failures": {
            "failures.jsonl": [
                build(Failure, item_id=f"i{n}", error_rate=1.0, capabilities=(by_cell[n],), prototype_id="p000")
                for n in failed
            ],
            "prototypes.jsonl": [prototype],
            "capabilities.jsonl": [build(CapabilityErrorRate, capability=CELL)],
            "anchors.jsonl": [build(Anchor, image_id=images[n], capabilities={by_cell[n]: 1}) for n in failed],
        },
        "select_samples": {
            "samples.jsonl": samples,
            "selection.json": build(Selection, requested=n_drawn, selected=n_drawn),
        },
        "annotate": {
            "decisions.jsonl": decisions,
            "unanswered.jsonl": [
                build(Unanswered, sample_id="sample-2", question="Q?", reason=REJECTED_BY_EXPERT, **undecided),
                build(Unanswered, sample_id="sample-3", question="Q?", reason=f"no budget {HOSTILE}", **undecided),
            ],
        },
        "build_dataset": {
            "lineage.jsonl": [build(Lineage, id="d0", kind="new", decision_id="d0", sample_id="sample-0")],
            "dropped.jsonl": [build(Dropped, id="d1", kind="new", reason="duplicate", detail="of another")],
        },
    }  # fmt: skip


def _sample(n: int, image_id: str, is_of_prototype: bool) -> Sample:
    found = (
        {"prototype_id": "p000", "capability": CELL} if is_of_prototype else {"prototype_id": "", "similarity": None}
    )
    return build(
        Sample,
        sample_id=f"sample-{n}",
        image_id=image_id,
        image_uri=f"sha256:{image_id}",
        contrast=0.25,
        **{"capability": HOSTILE_CELL, **found},
    )


def _decision(n: int, image_id: str, answer: str | None) -> Decision:
    return build(
        Decision,
        decision_id=f"d{n}",
        sample_id=f"sample-{n}",
        image_id=image_id,
        image_uri=f"sha256:{image_id}",
        answer=answer,
        route="expert",
        expert_action="edit" if answer else "reject",
        prototype_id="p000",
        capability=CELL,
        options=OPTIONS,
    )
