"""Lays out a training dataset from its samples; what the files say is in `shared.training_files`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.training.domain.samples import TrainingSample, conversation
from shared import training_files as files
from shared.objects.dataset import Content, write_files
from shared.rows.training import Dropped


def lay_out(
    folder: Path, samples: Sequence[TrainingSample], dropped: Sequence[Dropped], provenance: Mapping[str, Any]
) -> None:
    """Write everything but the images, which must be in `folder` under their names already.

    Args:
        folder: The dataset's folder.
        samples: In the order of training.
        dropped: What was left out.
        provenance: Parents, configuration and seed, for the card.
    """
    rows, lineage = [conversation(sample) for sample in samples], [sample.lineage for sample in samples]
    content: dict[str, Content] = {
        files.TRAIN_FILE: rows,
        files.LINEAGE_FILE: lineage,
        files.DROPPED_FILE: dropped,
        files.INFO_FILE: files.info(),
        files.CARD_FILE: files.card(rows, lineage, dropped, provenance),
    }
    write_files(folder, "dataset", content)
    files.write_parquet(folder, rows)
