"""The text of a configuration as one mapping: YAML in which no key stands twice."""

from __future__ import annotations

from typing import Any

import yaml

from shared.errors import InvalidArgument


def read_mapping(text: str) -> dict[Any, Any]:
    """Read a YAML text that holds keys and values.

    Raises:
        InvalidArgument: It is not YAML, a key stands twice, or it holds something else.
    """
    remedy = "Check indentation, colons and quotes."
    try:
        content = yaml.load(text, _OnceLoader)
    except _TwiceError as error:
        raise InvalidArgument(str(error.problem), remedy="Keep one of the two.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise InvalidArgument(f"The file is not YAML{where}.", remedy=remedy) from None
    # What is no date, truth or number raises nearly anything in its constructor.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError):
        raise InvalidArgument("The file is not YAML.", remedy=remedy) from None
    if not isinstance(content, dict):
        raise InvalidArgument(
            "The file must hold keys and values.", remedy="docs/configuration.md shows the shortest file."
        )
    return content


class _TwiceError(yaml.MarkedYAMLError):
    """A key stands twice in one mapping, of which YAML would silently take the last."""


class _OnceLoader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"The key `{key.value}` stands twice, again in line {key.start_mark.line + 1}."
                raise _TwiceError(problem=problem, problem_mark=key.start_mark)
            seen.add(str(key.value))
        return node
