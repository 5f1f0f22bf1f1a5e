"""A text that people write as one mapping: YAML in which no key stands twice, of bounded size, without aliases."""

from __future__ import annotations

from typing import Any

import yaml

from shared.errors import InvalidArgument

#: Longest text of a file, and longest value in it, in characters.
MOST_CHARACTERS, MOST_IN_A_VALUE = 256 * 1024, 8192
#: Most keys and values of a file together, and how deep they may lie.
MOST_NODES, MOST_DEPTH = 2000, 20
_FEWER = "Leave out what is no key of such a file"


def read_mapping(text: str, page: str) -> dict[Any, Any]:
    """Read a YAML text that holds keys and values.

    Args:
        text: The file's.
        page: The page that shows such a file, for the remedies.

    Raises:
        InvalidArgument: It is not YAML, a key stands twice, it is too large or holds an alias, or it holds something else.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidArgument("The file is too long.", remedy=f"At most {MOST_CHARACTERS} characters.")
    remedy = "Check indentation, colons and quotes."
    try:
        content = yaml.load(text, _OnceLoader)
    except _RefusedError as error:
        raise InvalidArgument(str(error.problem), remedy=str(error.note)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise InvalidArgument(f"The file is not YAML{where}.", remedy=remedy) from None
    # What the library raises where a value is not what its tag says: 2024-13-45 is no date, `!!bool maybe` no key of a table.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError):
        raise InvalidArgument("The file is not YAML.", remedy=remedy) from None
    if not isinstance(content, dict):
        raise InvalidArgument("The file must hold keys and values.", remedy=f"{page} shows the shortest file.")
    return content


class _RefusedError(yaml.MarkedYAMLError):
    """What YAML allows and we do not; `note` is the remedy."""


class _OnceLoader(yaml.SafeLoader):
    """Refuses while it reads: what a file may hold is known before anything is made of it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._n_nodes = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):  # a few of them can stand for more values than any memory holds
            raise _refused(event, f"an alias, `*{str(event.anchor)[:80]}`, is not read", "Write the values out")
        self._n_nodes += 1
        self._depth += 1
        if self._n_nodes > MOST_NODES:
            raise _refused(event, f"the file has more than {MOST_NODES} keys and values", _FEWER)
        if self._depth > MOST_DEPTH:
            raise _refused(event, f"values lie more than {MOST_DEPTH} levels deep", _FEWER)
        if isinstance(event, yaml.ScalarEvent):
            event.value.encode()  # no half of a pair of surrogates
            if len(event.value) > MOST_IN_A_VALUE:
                raise _refused(event, "the value is too long", f"At most {MOST_IN_A_VALUE} characters")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _refused(key, f"the key `{key.value[:80]}` stands twice", "Keep one of the two")
            seen.add(str(key.value))
        return node


def _refused(where: yaml.Event | yaml.Node, what: str, remedy: str) -> _RefusedError:
    line = where.start_mark.line + 1 if where.start_mark else 0
    return _RefusedError(problem=f"Line {line}: {what}.", note=f"{remedy}.")
