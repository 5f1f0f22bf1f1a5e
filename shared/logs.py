"""Logs: one JSON object a line on standard error; the event is a constant, the data are in keys.

Knows nothing of patients and lets nothing of them through: keys on the denylist are dropped, whoever logs them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from opentelemetry import trace

#: Keys that may hold what identifies a patient; their values never reach a log.
DENIED_KEYS = frozenset(
    {"patient", "patient_id", "patient_name", "birth_date", "accession_number", "path", "file_name", "name"}
)


def drop_denied_keys(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that removes the denied keys from an event."""
    for key in DENIED_KEYS & event.keys():
        event[key] = "[redacted]"
    return event


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
    target = stream or sys.stderr
    logging.basicConfig(level=logging.WARNING, stream=target, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_trace_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_denied_keys,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    """Log to a stream that is closed later; after the block, logging is as it was before any was set up."""
    configure_logs("INFO", stream)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root = logging.getLogger()
        for handler in root.handlers[:]:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                root.removeHandler(handler)


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
