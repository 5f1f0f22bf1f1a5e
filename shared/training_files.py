"""The files of a training set in the forms that others read, from its rows: LLaVA/ShareGPT with LLaMA-Factory's description,
Parquet with the schema notes of Hugging Face `datasets`, and a card. Training writes them for each version, the client where
it joins several. The same rows give the same bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from shared.rows.encoding import encode_json
from shared.rows.training import Conversation, Dropped, Lineage
from shared.rows.vocabulary import DESCRIPTION

TRAIN_FILE, INFO_FILE, CARD_FILE = "train.jsonl", "dataset_info.json", "README.md"
LINEAGE_FILE, DROPPED_FILE = "lineage.jsonl", "dropped.jsonl"
PARQUET_FILES = "data/train-*.parquet"
#: What the set is called in `dataset_info.json`.
NAME = "medq"
_ROWS_PER_GROUP = 100
_SHARD_BYTES = 500_000_000
_MOST_VALUES = 20
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


def info() -> str:
    """`dataset_info.json`: how LLaMA-Factory is to read `train.jsonl`."""
    columns = {"messages": "conversations", "images": "images"}
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    entry = {"file_name": TRAIN_FILE, "formatting": "sharegpt", "columns": columns, "tags": tags}
    return encode_json({NAME: entry}, 1) + "\n"


def write_parquet(folder: Path, samples: Sequence[Conversation], shard_bytes: int = _SHARD_BYTES) -> None:
    """Write `data/train-00000-of-0000N.parquet`, each with about `shard_bytes` of images, which must lie in `folder` already."""
    shards = list(_shards(folder, samples, shard_bytes))
    (folder / "data").mkdir()
    for number, shard in enumerate(shards):
        path = folder / "data" / f"train-{number:05}-of-{len(shards):05}.parquet"
        with pq.ParquetWriter(path, _SCHEMA) as writer:
            for start in range(0, len(shard), _ROWS_PER_GROUP):
                rows = [_parquet_row(folder, sample) for sample in shard[start : start + _ROWS_PER_GROUP]]
                writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _shards(folder: Path, samples: Sequence[Conversation], shard_bytes: int) -> Iterator[Sequence[Conversation]]:
    """The samples in turn, in parts of about `shard_bytes`; one part where there are none."""
    begin, size = 0, 0
    for place, sample in enumerate(samples):
        n_bytes = (folder / sample.images[0]).stat().st_size
        if size and size + n_bytes > shard_bytes:
            yield samples[begin:place]
            begin, size = place, 0
        size += n_bytes
    yield samples[begin:]


def _parquet_row(folder: Path, sample: Conversation) -> dict[str, Any]:
    (name,) = sample.images
    image = {"bytes": (folder / name).read_bytes(), "path": name}
    return {"id": sample.id, "image": image, "conversations": msgspec.to_builtins(sample.conversations)}


def card(
    samples: Sequence[Conversation],
    lineage: Sequence[Lineage],
    dropped: Sequence[Dropped],
    provenance: Mapping[str, Any],
    *,
    has_lines: bool = True,
    has_parquet: bool = True,
) -> str:
    """A dataset card in Markdown, with the header that dataset hubs read.

    Args:
        samples, lineage: Row by row the same samples.
        dropped: What was left out.
        provenance: What it was made from and with, a JSON object.
        has_lines, has_parquet: Which of the two forms lie beside the card; the header names Parquet where it does.
    """
    counts = {
        "Origin": Counter[str](origin.kind for origin in lineage),
        "Modality": Counter(origin.modality for origin in lineage),
        "Route of the new samples": Counter(origin.route for origin in lineage if origin.route is not None),
        "Capability that a new sample was drawn for": Counter(
            origin.capability for origin in lineage if origin.capability is not None
        ),
        "Prototype that found a new sample": Counter(
            origin.prototype_id for origin in lineage if origin.prototype_id is not None
        ),
        "Answer": Counter(map(_answer, samples, lineage)),
        "Left out": Counter(row.reason for row in dropped),
    }
    n_images = len({origin.image_id for origin in lineage})
    tables = "\n".join(_table(title, counter) for title, counter in counts.items())
    return f"""---
task_categories: [visual-question-answering]
language: [en]
tags: [medical, image-quality]
configs:
- config_name: default
  data_files: {PARQUET_FILES if has_parquet else TRAIN_FILE}
---
# Medical image quality: training samples

{len(samples)} samples (questions and descriptions) about {n_images} images, made by MedQ-Engine.
{_simulated(lineage)}

{_forms(has_lines, has_parquet)}
- `{LINEAGE_FILE}`: where each sample comes from: decision, selected sample, prototype, image, route.
- `{DROPPED_FILE}`: what was left out, and why.

{tables}
## Provenance

```json
{encode_json(provenance, 1)}
```

The images keep the licences of their sources. Not for clinical use.
"""


def _answer(sample: Conversation, origin: Lineage) -> str:
    """What a sample answers; descriptions differ in each and count as one answer."""
    return "a description" if origin.question_type == DESCRIPTION else sample.conversations[1].value


def _simulated(lineage: Sequence[Lineage]) -> str:
    n_new = sum(origin.kind == "new" and origin.learned_in is None for origin in lineage)
    n_simulated = sum(origin.simulated is True and origin.learned_in is None for origin in lineage)
    if not n_simulated:
        return f"None of the {n_new} new samples was annotated by a simulated oracle or expert."
    return (
        f"**{n_simulated} of the {n_new} new samples were annotated by a simulated oracle or expert**, which knows the answers "
        "and errs at a set rate."
    )


def _forms(has_lines: bool, has_parquet: bool) -> str:
    lines = (
        f"- `{TRAIN_FILE}`: LLaVA/ShareGPT rows; `{INFO_FILE}` describes them to LLaMA-Factory; images in `images/`."
    )
    parquet = f"- `{PARQUET_FILES}`: {'the same samples with' if has_lines else 'the samples,'} the images in them."
    return "\n".join([lines] * has_lines + [parquet] * has_parquet)


def _table(title: str, counter: Counter[str]) -> str:
    """The commonest values by name, and how many samples have another."""
    shown = sorted(sorted(counter.items()), key=lambda pair: -pair[1])[:_MOST_VALUES]
    rows = "".join(f"| {_cell(name)} | {n} |\n" for name, n in sorted(shown))
    n_others = counter.total() - sum(n for _, n in shown)
    others = f"| *{len(counter) - len(shown)} others* | {n_others} |\n" if n_others else ""
    return f"| {title} | n |\n|---|---|\n{rows}{others}"


def _cell(text: str) -> str:
    """A value in one cell of one line, long ones cut."""
    words = " ".join(text.replace("|", "/").split())
    return (words if len(words) <= 60 else f"{words[:59]}…") or "-"
