"""What a log may show of values, errors, and lines of other libraries: nothing that may be data.

The text of an exception that is not ours may quote a file, a header, the parameters of a statement or a password ("could not
convert string to float: 'DOE^JANE'"). So a log shows of an exception its type, its code where it has one, and where it was
raised; of a line that another library logs, the template without what was put into it. No setting changes that.
"""

from __future__ import annotations

import errno
import logging
import re
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from structlog.typing import ExcInfo

#: Keys that may hold what identifies a patient; their values never reach a log.
DENIED_KEYS = frozenset(
    {"patient", "patient_id", "patient_name", "birth_date", "accession_number", "path", "file_name", "name"}
)
_REDACTED = "[redacted]"
_USER_OF_URL = re.compile(r"(\w://)[^/\s@]+@")
_QUERY_OF_URL = re.compile(r"(\w://[^\s?]*\?)\S+")
_CODE = re.compile(r"\w{1,40}")


def clean_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: no denied keys at any depth, no users, passwords and queries of URLs, no text of objects."""
    return {key: _REDACTED if key in DENIED_KEYS else _cleaned(value) for key, value in event.items()}


def described(error: BaseException) -> str:
    """An error and what it came from, the first one first: for each the places that it passed, its type and its code.

    Returns: Lines such as `shared.operation_work:145 in _work` and `sqlalchemy.exc.IntegrityError [23505]`; no text of an error.
    """
    return "\n".join(line for link in reversed(list(_chain(error))) for line in _lines(link))


def describe_exc_info(exc_info: ExcInfo) -> str:
    """What structlog writes of an exception."""
    return "" if exc_info[1] is None else described(exc_info[1])


class TemplateFormatter(logging.Formatter):
    """A line that another library logs: level, logger, place, the template of the text, and the error as by `described`.

    A text to which nothing was given later may have been put together with data before, so it is left out.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        template = f" {record.msg!r}" if record.args and isinstance(record.msg, str) else ""
        place = f"{record.levelname} {record.name} ({record.module}:{record.lineno})"
        error = record.exc_info[1] if record.exc_info else None
        return f"{place}{template}" + ("" if error is None else f"\n{described(error)}")


def _cleaned(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _REDACTED if key in DENIED_KEYS else _cleaned(of) for key, of in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(of) for of in value]
    if isinstance(value, str):
        return _QUERY_OF_URL.sub(rf"\1{_REDACTED}", _USER_OF_URL.sub(rf"\1{_REDACTED}@", value))
    return value if value is None or isinstance(value, bool | int | float) else f"<{type(value).__name__}>"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what it came from."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _lines(error: BaseException) -> Iterator[str]:
    for frame, number in traceback.walk_tb(error.__traceback__):
        yield f"  {frame.f_globals.get('__name__', '?')}:{number} in {frame.f_code.co_name}"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from ("  | " + line for line in described(part).splitlines())
    kind, code = type(error), _code_of(error)
    yield f"{kind.__module__}.{kind.__qualname__}" + (f" [{code}]" if code else "")


def _code_of(error: BaseException) -> str:
    """What a machine calls the error: ENOSPC of the system, 23505 of PostgreSQL, a module that is missing; "" for nothing."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, "")
    if isinstance(error, ImportError):
        return error.name or ""
    for name in ("sqlstate", "sqlite_errorname"):
        code = getattr(error, name, None)
        if isinstance(code, str) and _CODE.fullmatch(code):
            return code
    return ""
