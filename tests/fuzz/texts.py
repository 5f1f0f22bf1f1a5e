"""Tables, YAML and JSON: small valid ones, and changes that know rows, quotes, keys and anchors."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from functools import cache

import pandas as pd

from tests.fuzz.limits import MARKER
from tests.fuzz.mutations import Rng, below, mutated
from tests.support.pictures import picture, png

_CELLS = (
    "", '"', '""', '"open', "\0", "\ufeff", " ", "nan", "A", "Z", "C:\\x", "../../etc/passwd", "/etc/passwd", "a\tb",
    "x" * 20_000, "\u202e", "=1+1", "-1", "1e999", "ct", "CT ", "poool", "\x85", "\u2028", MARKER,
)  # fmt: skip


@cache
def manifest_seeds() -> tuple[bytes, ...]:
    """Manifests with paths and with pictures in the cells."""
    picture_cell = base64.b64encode(png(picture(1, 16))).decode()
    files = "image_path,modality,patient_id,session_id,licence,split\na.png,ct,p1,s1,CC0,pool\nb.png,mri,p2,,,dev\n"
    cells = f"index\timage\tmodality\n1\t{picture_cell}\tct\n2\t1\tmri\n3\tnothing\t\n"
    return files.encode(), cells.encode()


@cache
def benchmark_seeds() -> tuple[bytes, ...]:
    """Benchmark tables of both separators."""
    rows = [["index", "image_path", "question", "A", "B", "C", "D", "answer", "modality", "question_type", "split"]]
    rows += [
        [str(n), f"{n}.png", "Is it blurred?", "Yes", "No", "", "", "AB"[n % 2], "ct", "", "dev"] for n in range(4)
    ]
    return tuple("\n".join(sep.join(row) for row in rows).encode() for sep in ("\t", ","))


@cache
def replies_seeds() -> tuple[bytes, ...]:
    """Stored replies."""
    rows = [["index", "question", "A", "B", "C", "answer", "prediction"]]
    said = ("A", "The answer is B.", "(C) noise", "Yes", "neither A nor B", "")
    rows += [[str(n), "Which?", "Noise", "Blur", "Yes", "ABC"[n % 3], text] for n, text in enumerate(said)]
    return ("\n".join("\t".join(row) for row in rows).encode(),)


@cache
def parquet_seeds() -> tuple[bytes, ...]:
    """Manifests in Parquet."""
    target = io.BytesIO()
    content = {"image_path": ["a.png", "b.png"], "modality": ["ct", None], "index": [1.0, float("nan")]}
    pd.DataFrame(content).to_parquet(target)
    pictures = io.BytesIO()
    pd.DataFrame({"image": [png(picture(2, 16)), b"none"], "index": [1, 2]}).to_parquet(pictures)
    return target.getvalue(), pictures.getvalue()


YAML_SEED = """\
name: tiny
seed: 7
rounds: 2
data: {pool: pool, pool_answers: pool_answers.tsv, dev: dev.tsv, test: test.tsv, simulated_images: The images are phantoms.}
model: model
evaluate: {runs: 3, max_new_tokens: 2}
select: {budget: 6, tau_sim: 0.3}
annotate: {oracle: simulated, expert: simulated, max_in_flight: 2}
build: {replay_ratio: 0.5}
train: {learning_rate: 2.0e-4, epochs: 1, batch_size: 8}
stop: {patience: 3, overall_allowance: 1.0, modality_allowance: 1.0}
"""
_YAML_VALUES = (
    "", "~", "nan", ".nan", ".inf", "-.inf", "-1", "0", "1e400", "99999999999999999999999", "true", "[]", "{}", "[[[]]]",
    "!!python/object/apply:os.system [id]", "!!binary abc", "!!timestamp 2024-13-45", "2024-01-01", "*a", "&a [*a]",
    "? {a: b}", "{[1]: 2}", "|\n  text", "'\\0'", '"\\0"', '"\\uD800"', "/etc/passwd", "../..", "x" * 5000, "\u202e", "0o17",
    "1_000", "0x10", "1:30:00", "!!set {a, b}", "{? [1, 2] : 3}", "!!omap [a: 1]", "<<",
)  # fmt: skip
_LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n"
    for n in range(1, 12)
)


def table_case(rng: Rng, seeds: tuple[bytes, ...]) -> bytes:
    """A table with other cells, rows, quotes or bytes."""
    data = seeds[below(rng, len(seeds))]
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.5:
            data = mutated(data, rng, seeds)
            continue
        separator = b"\t" if b"\t" in data else b","
        rows = [line.split(separator) for line in data.split(b"\n")]
        row = rows[below(rng, len(rows))]
        cell = _CELLS[below(rng, len(_CELLS))].encode("utf-8", "surrogatepass")
        how = below(rng, 4)
        if how == 0:
            row.append(cell)
        elif how == 1:
            rows.insert(below(rng, len(rows)), row * int(rng.integers(1, 3)))
        elif how == 2:
            del row[below(rng, len(row))]
        else:
            row[below(rng, len(row)) :][:1] = [cell]
            if row:
                row[below(rng, len(row))] = cell
        data = b"\n".join(separator.join(cells) for cells in rows)
    return data


def parquet_case(rng: Rng) -> bytes:
    """A damaged Parquet file."""
    return mutated(parquet_seeds()[below(rng, 2)], rng, parquet_seeds())


def yaml_case(rng: Rng) -> str:
    """The file of a run with other values, keys, anchors, depth or characters."""
    lines = YAML_SEED.splitlines()
    for _ in range(int(rng.integers(1, 4))):
        at, how = below(rng, len(lines)), below(rng, 8)
        value = _YAML_VALUES[below(rng, len(_YAML_VALUES))]
        key = lines[at].partition(":")[0] if lines else ""
        if how < 3:
            lines[at : at + 1] = [f"{key}: {value}"]
        elif how == 3:
            lines.insert(at, f"{value}: {value}")
        elif how == 4:
            lines[at : at + 1] = [lines[at]] * 2 if lines else []
        elif how == 5:
            inner = lines[at].replace(": ", f": {value}, ", 1) if lines else value
            lines[at : at + 1] = [inner]
        elif how == 6:
            depth = int(rng.integers(1, 2000))
            lines.append(f"deep: {'[' * depth}{']' * (depth if rng.random() < 0.5 else 0)}")
        else:
            lines.append(_LAUGHS if rng.random() < 0.3 else "".join(f"k{n}: 1\n" for n in range(below(rng, 3000))))
    text = "\n".join(lines)
    if rng.random() < 0.2:
        text = mutated(text.encode(), rng).decode("utf-8", "replace")
    return text


_CHECKPOINT = {
    "config.json": {"architectures": ["X"], "model_type": "internvl", "text_config": {"max_position_embeddings": 512}},
    "tokenizer.json": {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}},
    "preprocessor_config.json": {"image_processor_type": "GotOcr2ImageProcessor"},
    "model.safetensors.index.json": {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}},
}
_JSON_VALUES = (
    None,
    [],
    {},
    "",
    0,
    -1,
    1e308,
    True,
    [1],
    {"a": 1},
    "../../etc/passwd",
    "/etc/passwd",
    MARKER,
    "x" * 5000,
)


def checkpoint_case(rng: Rng) -> bytes:
    """The JSON files of a checkpoint folder in one JSON text: name to base64; one or two of them changed."""
    files = {name: json.dumps(content) for name, content in _CHECKPOINT.items()}
    for _ in range(int(rng.integers(1, 3))):
        name = sorted(files)[below(rng, len(files))]
        content = json.loads(json.dumps(_CHECKPOINT[name]))
        value = _JSON_VALUES[below(rng, len(_JSON_VALUES))]
        key = sorted(content)[below(rng, len(content))]
        if isinstance(content[key], dict) and content[key] and rng.random() < 0.5:
            content, key = content[key], sorted(content[key])[0]
            content[key] = value
            files[name] = json.dumps({**_CHECKPOINT[name], sorted(_CHECKPOINT[name])[0]: content})
        else:
            content[key] = value
            files[name] = json.dumps(content if rng.random() < 0.8 else value)
    encoded = {name: text.encode() for name, text in files.items()}
    if rng.random() < 0.4:
        name = sorted(encoded)[below(rng, len(encoded))]
        encoded[name] = b"[" * 100_000 if rng.random() < 0.2 else mutated(encoded[name], rng)
    if rng.random() < 0.2:
        del encoded[sorted(encoded)[below(rng, len(encoded))]]
    return json.dumps({name: base64.b64encode(content).decode() for name, content in encoded.items()}).encode()


TEXTS: dict[str, Callable[[Rng], bytes]] = {
    "manifest": lambda rng: table_case(rng, manifest_seeds()),
    "parquet": parquet_case,
    "benchmark": lambda rng: table_case(rng, benchmark_seeds()),
    "replies": lambda rng: table_case(rng, replies_seeds()),
    "yaml": lambda rng: yaml_case(rng).encode("utf-8", "replace"),
    "checkpoint": checkpoint_case,
}
