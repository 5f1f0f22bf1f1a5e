import ast
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from services.controller.configuration.models import RunConfiguration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
FUNCTIONS = sorted(set(re.findall(r"`([a-z_/]+\.py):([A-Za-z_.]+)`", PAGE)))
SETTINGS = re.findall(r"^\| `([a-z_.]+)` \| (\S+) \| (paper|ours) \|", PAGE, re.MULTILINE)


def defined(path):
    """Name to node of the functions and classes of a module, methods as `Class.method`."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    nodes = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            nodes[node.name] = node
            methods = node.body if isinstance(node, ast.ClassDef) else []
            nodes |= {f"{node.name}.{one.name}": one for one in methods if isinstance(one, ast.FunctionDef)}
    return nodes


def fields_of(model, prefix=""):
    """Dotted key to field of every setting that has a default."""
    found = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= fields_of(field.annotation, f"{prefix}{name}.")
        elif not field.is_required():
            found[f"{prefix}{name}"] = field
    return found


@pytest.mark.parametrize(("path", "name"), FUNCTIONS)
def test_function_exists_and_says_what_it_does(path, name):
    assert ast.get_docstring(defined(path)[name])


@pytest.mark.parametrize(("key", "value", "whose"), SETTINGS)
def test_default_and_origin_are_those_of_the_configuration(key, value, whose):
    field = fields_of(RunConfiguration)[key]
    written = float(value) if isinstance(field.default, float) else yaml.safe_load(value)
    assert written == (list(field.default) if isinstance(field.default, tuple) else field.default)
    assert field.description.startswith(f"{whose.capitalize()}:")


def test_every_setting_of_a_step_is_named():
    steps = ("evaluate", "mine", "select", "annotate", "build", "train", "stop")
    keys = {key for key in fields_of(RunConfiguration) if key.split(".")[0] in steps}
    assert keys - {key for key, _, _ in SETTINGS} == {"stop.max_usd", "stop.max_expert_hours"}  # no limit


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_docstring_of_an_equation_names_it(number):
    row = re.search(rf"^\| Eq\. \({number}\).*?`([a-z_/]+\.py):(\w+)`", PAGE, re.MULTILINE)
    docstring = ast.get_docstring(defined(row.group(1))[row.group(2)])
    assert docstring.startswith(f"Eq. {number}: ")
