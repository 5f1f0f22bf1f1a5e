"""How a trace travels with an event to those who handle it (W3C `traceparent`); nothing unless this process makes traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Link, SpanKind

from shared.events.bus import Event
from shared.tracing import TRACER, is_tracing

TRACEPARENT = "traceparent"


def with_trace(event: Event) -> Event:
    """The event with the trace in which it was made, for those who handle it."""
    carrier: dict[str, str] = {}
    if is_tracing():
        inject(carrier)
    if TRACEPARENT not in carrier:
        return event
    return replace(event, attributes={**event.attributes, TRACEPARENT: carrier[TRACEPARENT]})


@contextmanager
def handling(group: str, events: Sequence[Event]) -> Iterator[None]:
    """A span around the handling of events of one topic, linked to the traces in which they were made."""
    if not is_tracing():
        yield
        return
    contexts = [trace.get_current_span(extract(dict(event.attributes))).get_span_context() for event in events]
    made_in = {(context.trace_id, context.span_id): context for context in contexts if context.is_valid}
    links = [Link(context) for context in made_in.values()]
    only = extract(dict(events[0].attributes)) if len(links) == 1 else None
    with trace.get_tracer(TRACER).start_as_current_span(
        f"process {events[0].type}",
        context=only,
        kind=SpanKind.CONSUMER,
        links=links,
        attributes={"messaging.consumer.group.name": group, "messaging.batch.message_count": len(events)},
    ):
        yield
