"""The files of a training dataset, in the forms that others read: LLaVA/ShareGPT with LLaMA-Factory's description,
parquet with the schema notes of Hugging Face `datasets`, and a card. The same samples give the same bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from services.training.domain.samples import TrainingSample, conversation
from shared.objects.dataset import Content, write_files
from shared.rows.encoding import encode_json
from shared.rows.training import Dropped

TRAIN_FILE = "train.jsonl"
PARQUET_FILE = "data/train-00000-of-00001.parquet"
_ROWS_PER_GROUP = 256
_TEXT = {"dtype": "string", "_type": "Value"}
_FEATURES = {"id": _TEXT, "image": {"_type": "Image"}, "conversations": [{"from": _TEXT, "value": _TEXT}]}
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("conversations", pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}}, sort_keys=True)},
)
_DATASET_INFO = {
    "medq": {
        "file_name": TRAIN_FILE,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "images"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    }
}


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
    files: dict[str, Content] = {
        TRAIN_FILE: map(conversation, samples),
        "lineage.jsonl": (sample.lineage for sample in samples),
        "dropped.jsonl": dropped,
        "dataset_info.json": encode_json(_DATASET_INFO, 1) + "\n",
        "README.md": _card(samples, dropped, provenance),
    }
    write_files(folder, "dataset", files)
    _write_parquet(folder, samples)


def _write_parquet(folder: Path, samples: Sequence[TrainingSample]) -> None:
    (folder / PARQUET_FILE).parent.mkdir(parents=True)
    with pq.ParquetWriter(folder / PARQUET_FILE, _SCHEMA) as writer:
        for start in range(0, len(samples), _ROWS_PER_GROUP):
            rows = [_parquet_row(folder, sample) for sample in samples[start : start + _ROWS_PER_GROUP]]
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _parquet_row(folder: Path, sample: TrainingSample) -> dict[str, Any]:
    turns = msgspec.to_builtins(conversation(sample).conversations)
    image = {"bytes": (folder / sample.image_name).read_bytes(), "path": sample.image_name}
    return {"id": sample.sample_id, "image": image, "conversations": turns}


def _card(samples: Sequence[TrainingSample], dropped: Sequence[Dropped], provenance: Mapping[str, Any]) -> str:
    """A dataset card in Markdown, with the header that dataset hubs read."""
    origins = [sample.lineage for sample in samples]
    n_simulated = sum(origin.simulated is True for origin in origins)
    counts = {
        "Origin": Counter[str](origin.kind for origin in origins),
        "Modality": Counter(origin.modality for origin in origins),
        "Route of the new samples": Counter(origin.route for origin in origins if origin.route is not None),
        "Answer": Counter((sample.answer or "") if sample.options else "a description" for sample in samples),
        "Left out": Counter(row.reason for row in dropped),
    }
    n_images = len({sample.image_id for sample in samples})
    tables = "\n".join(_table(title, counter) for title, counter in counts.items())
    return f"""---
task_categories: [visual-question-answering]
language: [en]
tags: [medical, image-quality]
configs:
- config_name: default
  data_files: {PARQUET_FILE}
---
# Medical image quality: training samples

{len(samples)} samples (questions and descriptions) about {n_images} images, made by MedQ-Engine.
**{n_simulated} of them were annotated by a simulated oracle or expert**, which knows the answers and errs at a set rate.

- `{TRAIN_FILE}`: LLaVA/ShareGPT rows; `dataset_info.json` describes them to LLaMA-Factory; images in `images/`.
- `{PARQUET_FILE}`: the same samples with the images in them.
- `lineage.jsonl`: where each sample comes from: decision, selected sample, prototype, image, route.
- `dropped.jsonl`: what was left out, and why.

{tables}
## Provenance

```json
{encode_json(provenance, 1)}
```

The images keep the licences of their sources. Not for clinical use.
"""


def _table(title: str, counter: Counter[str]) -> str:
    rows = "".join(f"| {name or '-'} | {n} |\n" for name, n in sorted(counter.items()))
    return f"| {title} | n |\n|---|---|\n{rows}"
