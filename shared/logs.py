"""Logs: one JSON object a line on standard error; the event is a constant, the data are in keys.

Knows nothing of patients and lets nothing of them through: `shared.log_lines` says what may be shown. That holds from the
moment that this module is imported, for our lines and for those of other libraries, warnings and uncaught errors.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import structlog
from opentelemetry import trace

from shared.log_lines import TemplateFormatter, clean_event, describe_exc_info


def add_trace_id(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that names the trace in which an event was logged, where there is one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


def configure_logs(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up logging for a process; called once, in `main`.

    Args:
        level: "DEBUG", "INFO", "WARNING" or "ERROR".
        stream: Where lines go; standard error when None.
    """
    root, handler = logging.getLogger(), logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(TemplateFormatter())
    for other in [other for other in root.handlers if type(other) is logging.StreamHandler]:
        root.removeHandler(other)  # a library's own, or that of an earlier call
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    warnings.showwarning = _log_warning
    _configure(level, stream)


def log_uncaught_errors() -> None:
    """Have what ends this process, or a thread of it, logged as every error is, in place of Python's own traceback."""
    sys.excepthook = lambda kind, error, _: _log_uncaught(kind, error)
    threading.excepthook = lambda ended: _log_uncaught(ended.exc_type, ended.exc_value)
    sys.unraisablehook = lambda ended: _log_uncaught(ended.exc_type, ended.exc_value)


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    """Log to a stream that is closed later; after the block, logging is as it was before any was set up."""
    show_warning = warnings.showwarning
    configure_logs("INFO", stream)
    try:
        yield
    finally:
        _configure("INFO", None)
        warnings.showwarning = show_warning
        root = logging.getLogger()
        for handler in root.handlers[:]:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                root.removeHandler(handler)


def _configure(level: str, stream: TextIO | None) -> None:
    """Set up our own lines; without a stream they go to what standard error is when a line is written."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_trace_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(describe_exc_info),
            clean_event,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning by its kind and place: its text may quote what a library has read."""
    get_logger("process").warning("warned", category=category.__name__, module=Path(filename).stem, line=lineno)


def _log_uncaught(kind: type[BaseException], error: BaseException | None) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        get_logger("process").error("uncaught", kind=kind.__name__, exc_info=error)


def get_logger(service: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that names its service in each line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(service=service)
    return logger


def get_audit_logger(service: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `"audit": true` and come whatever level is set."""
    everything = structlog.make_filtering_bound_logger(logging.NOTSET)
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        None, wrapper_class=everything, service=service, audit=True
    )
    return logger


_configure("INFO", None)
