"""Generate `docs/configuration.md` from the models of a run's configuration, or check that it is what would be generated.

`python -m infra.configuration_page` writes; `python -m infra.configuration_page --check` compares and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.controller.configuration.arms import ArmSection
from services.controller.configuration.models import RunConfiguration

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
_HEAD = """# The configuration of a run

One YAML file. Relative paths start from its folder. An unknown key is an error, with a suggestion where one is near; every
problem is listed at once, before anything is spent. "Paper" marks a value that the paper gives, "ours" one that it does not.
This page is made by `python -m infra.configuration_page` from the models in `services/controller/configuration`.

The shortest file:

```yaml
name: first-run
data:
  pool: images/
  dev: dev.tsv
  test: test.tsv
model: checkpoints/base
annotate:
  oracle: gpt-4o   # an endpoint of the site; or `simulated`
  expert: review   # people at the queue; or `simulated`, or `none`
```

With `simulated` as oracle or expert, `data.pool_answers` names what they know.
"""
_ARMS = """
A run with several arms compares them. Here the second draws 240 images a round, at random; the third has an oracle and an
expert that never err; the fourth has no expert; the last has no quality assurance:

```yaml
arms:
  - failure_contrast
  - {name: random_4x, strategy: random, select: {budget: 240}}
  - {name: clean, annotate: {simulated_oracle_accuracy: 1.0, simulated_expert_accuracy: 1.0}}
  - {name: no_people, annotate: {expert: none}}
  - {name: no_qa, build: {quality_assurance: false}}
```

Data, model, encoder, evaluation, rounds and the stop rule are the same for all arms: else their scores would not compare.

### Arms of different budgets, trained alike

An arm that draws more images has more to learn from. With `train.epochs` it also makes more steps; with a fixed `train.steps`
and a fixed `replay_ratio` it sees each new question less often. To hold both equal, fix the steps and the size of the training
set, and let a larger budget displace replay:

```yaml
build: {total_samples: 1280}
train: {steps: 200, batch_size: 32}
arms:
  - {name: failure_contrast, select: {budget: 60}}
  - {name: random_4x, strategy: random, select: {budget: 240}}
```

A round of each arm then makes 200 steps of 32 samples, which are 6,400 samples: 5 passes over 1,280. Each new sample is seen
5 times, be they 180 or 720 (three questions about each image; descriptions count too); replay has the other places. In general
`passes = steps * batch_size * gradient_accumulation / total_samples`. Let `total_samples` be a multiple of the samples of a
step, and at least as large as what the largest budget gives. The replay set needs as many rows as are left: none is taken
twice, and the report counts how many are lacking.
"""


def page() -> str:
    """The page."""
    parts = [_HEAD, *_table("The whole file", RunConfiguration)]
    for name, field in RunConfiguration.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts += _table(f"`{name}`", field.annotation)
            for inner, part in field.annotation.model_fields.items():
                if isinstance(part.annotation, type) and issubclass(part.annotation, BaseModel):
                    parts += _table(f"`{name}.{inner}`", part.annotation)
    parts += [*_table("An element of `arms`", ArmSection), _ARMS.rstrip()]
    return "\n".join(parts) + "\n"


def _table(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield cleandoc(model.__doc__ or "")
    yield "\n| key | default | values | from | meaning |\n|---|---|---|---|---|"
    properties = model.model_json_schema(mode="validation")["properties"]
    for name, field in model.model_fields.items():
        origin, meaning = (field.description or ": see below").split(": ", 1)
        if _is_section(field):
            yield f"| `{name}` | | a section | | {_first_line(field)} |"
        else:
            values = _values(properties[name])
            yield f"| `{name}` | {_default(field)} | {values} | {origin.lower()} | {meaning} |"


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _first_line(field: FieldInfo) -> str:
    return (getattr(field.annotation, "__doc__", "") or "").splitlines()[0]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, tuple):
        return f"`[{', '.join(str(getattr(one, 'name', one)) for one in field.default)}]`"
    return f"`{json.dumps(field.default)}`"


def _values(schema: dict[str, Any]) -> str:
    """What a key may hold, in words."""
    if "anyOf" in schema:
        return " or ".join(_values(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" if value else '`""`' for value in schema["enum"])
    if schema.get("type") == "array":
        values = f" of {_values(schema['items'])}" if "enum" in schema["items"] else ""
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"a list{values}, not empty{most}"
    if schema.get("type") == "object":
        return "keys and values"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {_number(schema[key])}" for key, sign in signs.items() if key in schema]
    return " ".join([str(schema.get("type", "")), ", ".join(limits)]).strip()


def main() -> None:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.stderr.write("docs/configuration.md is not current: run `python -m infra.configuration_page`.\n")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
