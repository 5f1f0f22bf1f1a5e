"""The contract of data for other systems: `schemas/<kind>/v<version>/<file>.json` (JSON Schema) and `docs/datasets.md`.

`python -m infra.row_schemas` writes both from `shared/rows`; `--check` compares and exits 1 on a difference. Both refuse a break:
a field that was removed, retyped, narrowed or newly required under the same version of its kind. A break raises `version` in
`shared/rows/kinds.py`, and the schemas of the new version stand beside those of the old one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from shared.rows.encoding import to_json
from shared.rows.fields import Row
from shared.rows.kinds import KINDS, File

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "schemas"
PAGE = ROOT / "docs" / "datasets.md"
Json = dict[str, Any]
#: Keywords that only say something: a change of these breaks nobody.
_WORDS = ("description", "title", "default")
_HEAD = """# Datasets

Everything that a run makes is a dataset: a set of files in the object store that never changes. A small file, the
manifest, names the files with their digests, and says from which datasets, settings, seed and code it was made
([ADR 0004](adr/0004-content-addresses.md)). The digest of the manifest is the dataset's URI.

The kind of a dataset says which files it has. The rows of each file are described once, in `shared/rows`; this page and
the JSON Schemas in `schemas/` are made from there by `python -m infra.row_schemas` ([ADR 0009](adr/0009-rows-are-structs.md)).

- `.jsonl` is one JSON object a line, `.json` one object: UTF-8, keys sorted. `.npy` is a NumPy array.
- A manifest carries the version of its kind (`schema_version`). A reader refuses a version above its own.
- A field that comes to say something else raises the version too. Our readers then refuse that file in
  older datasets, and still read the other files: of `evaluation` version 1 the answers, not the scores.
- Within a version, fields are only added, and an added field is optional. **Pass over fields that you do not know.**
- An optional field is left out where it has its default. A field that is "or null" is always there.
- What was simulated says so: `simulated` in rows of annotation.

To read one from elsewhere: `DownloadDataset` of any service gives the files by gRPC ([clients](clients.md)).
"""


def schema_of(row: type[Row], kind: str, name: str) -> Json:
    """The JSON Schema of a file's rows."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"A row of {name}, kind {kind}"}
    return {**head, **msgspec.json.schema(row)}


def described() -> Iterator[tuple[str, str, File, type[Row]]]:
    """Kind, file name, file and row type of every file whose rows are described here."""
    for kind, of in KINDS.items():
        for name, file in of.files.items():
            if not isinstance(file.content, str):
                yield kind, name, file, file.content


def schemas() -> dict[Path, Json]:
    """Path below `schemas/` to schema."""
    return {
        Path(kind) / f"v{KINDS[kind].version}" / f"{name}.schema.json": schema_of(row, kind, name)
        for kind, name, _, row in described()
    }


def breaks(old: Any, new: Any, at: str = "") -> list[str]:
    """What a reader or writer by the old schema could no longer do; empty where the new one only adds optional fields.

    Args:
        old, new: JSON Schemas, or parts of them.
        at: Where in the schema they stand.
    """
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{at}: {_short(old)} became {_short(new)}"]
    found: list[str] = []
    for key in sorted((old.keys() | new.keys()) - set(_WORDS)):
        place = f"{at}/{key}"
        if key == "required":
            found += [f"{at}/{name}: newly required" for name in new.get(key, []) if name not in old.get(key, [])]
            found += [f"{at}/{name}: no longer required" for name in old.get(key, []) if name not in new.get(key, [])]
        elif key in ("properties", "$defs"):
            before, after = old.get(key, {}), new.get(key, {})
            found += [f"{place}/{name}: removed" for name in sorted(before.keys() - after.keys())]
            found += [
                b
                for name in sorted(before.keys() & after.keys())
                for b in breaks(before[name], after[name], f"{place}/{name}")
            ]
        elif key not in new:
            found.append(f"{place}: {_short(old[key])} was removed")
        elif key not in old:
            found.append(f"{place}: {_short(new[key])} was added")
        else:
            found += breaks(old[key], new[key], place)
    return found


def all_breaks(folder: Path) -> list[str]:
    """The breaks against the schemas in a folder, a line each."""
    fresh = schemas()
    found = []
    for path in sorted(folder.rglob("*.schema.json")):
        name = path.relative_to(folder)
        kind, version = name.parts[0], int(name.parts[1].removeprefix("v"))
        if kind not in KINDS:
            found.append(f"{name}: the kind was removed")
        elif version == KINDS[kind].version and name not in fresh:
            found.append(f"{name}: the file was removed")
        elif version == KINDS[kind].version:
            found += [f"{name}{line}" for line in breaks(json.loads(path.read_text()), fresh[name])]
        elif version > KINDS[kind].version:
            found.append(f"{name}: its version is above that of the code")
    return found


def page() -> str:
    """`docs/datasets.md`."""
    return "\n".join([_HEAD, *_overview(), *(line for kind in KINDS for line in _kind(kind))]) + "\n"


def _overview() -> Iterator[str]:
    yield "| kind | made by | what it is |\n|---|---|---|"
    for kind, of in KINDS.items():
        yield f"| [`{kind}`](#{kind}) | {of.writer} | {of.purpose} |"


def _kind(kind: str) -> Iterator[str]:
    of = KINDS[kind]
    yield f"\n## {kind}\n\n{of.purpose} Made by {of.writer}. Version {of.version}."
    for name, file in of.files.items():
        readers = f" Read by {', '.join(file.readers)}." if file.readers else ""
        if isinstance(file.content, str):
            yield f"\n**`{name}`**: {file.content}.{readers}"
            continue
        yield f"\n**`{name}`**: {_first_line(file.content)}{readers}\n"
        if kind == "report":  # the same rows again
            yield "The rows are those of [`evaluation`](#evaluation)."
            continue
        yield from _fields(file.content)
        yield f"\n```json\n{_example(file.content, name)}\n```"


def _fields(row: type[Row]) -> Iterator[str]:
    definitions: Json = msgspec.json.schema(row)["$defs"]
    own = definitions.pop(row.__name__)
    yield "| field | type | meaning, unit, range |\n|---|---|---|"
    yield from _rows(own, "", definitions)


def _rows(schema: Json, prefix: str, definitions: Json) -> Iterator[str]:
    for name, field in schema["properties"].items():
        optional = "" if name in schema["required"] else ", optional"
        kind, inner = _type(field)
        yield f"| `{prefix}{name}` | {kind}{optional} | {_meaning(field)} |"
        if inner and inner in definitions:
            # What was told once is not told again in the same table.
            yield from _rows(definitions.pop(inner), f"{prefix}{name}.", definitions)


def _type(field: Json) -> tuple[str, str]:
    """The type in words, and the name of the object in it."""
    if "anyOf" in field:
        kinds = [_type(part) for part in field["anyOf"]]
        return " or ".join(kind for kind, _ in kinds), next((inner for _, inner in kinds if inner), "")
    if "$ref" in field:
        inner = field["$ref"].rsplit("/", 1)[1]
        return inner, inner
    if "enum" in field:
        return " / ".join(f"`{value}`" for value in field["enum"]), ""
    if field.get("type") == "array":
        kind, inner = _type(field["items"])
        return f"list of {kind}", inner
    if field.get("type") == "object":
        value = field.get("additionalProperties")
        kind, inner = _type(value) if isinstance(value, dict) else ("anything", "")
        return f"text to {kind}", inner
    return {"string": "text", "integer": "integer", "number": "number", "boolean": "yes or no", "null": "null"}[
        field["type"]
    ], ""


def _meaning(field: Json) -> str:
    parts = [_description(field)]
    for part in (field, *field.get("anyOf", ())):
        low, high = part.get("minimum"), part.get("maximum")
        if low is not None and high is not None:
            parts.append(f"{low} to {high}")
        elif low is not None:
            parts.append(f"at least {low}")
    return "; ".join(part for part in parts if part).replace("|", "\\|")


def _description(field: Json) -> str:
    own: str = field.get("description", "")
    return own or next((part["description"] for part in field.get("anyOf", ()) if "description" in part), "")


def _first_line(row: type[Row]) -> str:
    return (row.__doc__ or "").strip().splitlines()[0]


def _example(row: type[Row], name: str) -> str:
    from infra.row_examples import EXAMPLES  # here, so that a break is told before an example that has the field fails

    return to_json(EXAMPLES[row], None if name.endswith(".jsonl") else 1)


def _short(value: Any) -> str:
    return json.dumps(value)[:80]


def _files() -> dict[Path, str]:
    """Every file that is made from the code, with its text."""
    made = {SCHEMAS / path: json.dumps(schema, indent=2, sort_keys=True) + "\n" for path, schema in schemas().items()}
    return {**made, PAGE: page()}


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description="JSON Schemas and the page of all dataset kinds, from shared/rows.")
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    is_check = parser.parse_args().check
    broken = all_breaks(SCHEMAS)
    if broken:
        sys.stderr.write(
            "rows break their contract; add fields as optional ones, or raise the version in shared/rows/kinds.py:\n  "
            + "\n  ".join(broken)
            + "\n"
        )
        raise SystemExit(1)
    files = _files()
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if is_check and stale:
        names = "\n  ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.stderr.write(f"made from shared/rows and stale, run `make schemas`:\n  {names}\n")
        raise SystemExit(1)
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")


if __name__ == "__main__":
    main()
