"""`medq lineage`: from a training sample back to the errors behind it, and from an error forward to what was done about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cli.access import Access
from cli.connection import connect
from cli.options import Json, Out, RunId
from cli.output import console, print_json, print_table, shown_errors
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.oracle.v1 import review_pb2, review_pb2_grpc
from shared.errors import InvalidArgument
from shared.rpc.as_json import to_json
from shared.rpc.channels import Channels

_PAGE = 200


def lineage(
    sample: Annotated[
        str, typer.Argument(help="A decision, a drawn sample, or a sample of a training set, by its id.")
    ] = "",
    *,
    out: Out,
    item: Annotated[str, typer.Option("--item", help="An item of dev instead, by its `index` in the table.")] = "",
    run_id: RunId = "run",
    access: Access,
    is_json: Json = False,
) -> None:
    """Show where a sample comes from, what it cost and whether its error fell; or what was done about an error of dev."""
    with shown_errors(is_json):
        if bool(sample) == bool(item):
            raise InvalidArgument("Name a sample, or an item of dev by --item.", field="SAMPLE", value=sample)
        with connect(out, access, may_start=False) as channels:
            stub = controller_pb2_grpc.ControllerServiceStub(channels["controller"])
            found = stub.GetLineage(controller_pb2.GetLineageRequest(run_id=run_id, sample_id=sample, item_id=item))
            _name_reviewers(channels, run_id, found)
        if is_json:
            print_json(_as_json(found))
        elif item:
            _show_item(found.item)
        else:
            for one in found.samples:
                _show_sample(one)


def _name_reviewers(channels: Channels, run_id: str, found: controller_pb2.GetLineageResponse) -> None:
    """Write into the answer who decided, as the queue of the experts knows it; a folder at rest has no queue to ask."""
    wanted = {one.decision_id: one.decision for one in found.samples if one.decision.expert_action}
    if not wanted or "oracle" not in channels.targets:
        return
    stub, token = review_pb2_grpc.ReviewServiceStub(channels["oracle"]), ""
    while wanted:
        request = review_pb2.ListTasksRequest(
            run_id=run_id, state=review_pb2.TASK_STATE_DECIDED, page_size=_PAGE, page_token=token
        )
        page = stub.ListTasks(request)
        for task in page.tasks:
            if task.decision_id in wanted:
                wanted.pop(task.decision_id).reviewer = task.decision.reviewer
        token = page.next_page_token
        if not token:
            return


def _as_json(found: controller_pb2.GetLineageResponse) -> dict[str, Any]:
    said = to_json(found)
    return {"item": said["item"]} if "item" in said else {"samples": said["samples"]}


def _show_sample(one: controller_pb2.SampleLineage) -> None:
    rows = [
        ("arm, round", f"{one.arm}, {one.round}"),
        ("sample", one.sample_id),
        ("decision", one.decision_id),
        ("image", f"{one.image_uri} ({', '.join(filter(None, (one.modality, one.source_id)))})"),
        ("drawn", _cause(one)),
        *(_decision(one.decision) if one.HasField("decision") else ()),
        ("then", one.fate or "its round has not come so far"),
        ("training set", one.dataset_uri),
        ("cost", "; ".join(_costs(one.costs)) or "nothing"),
    ]
    print_table("Lineage", ("", ""), [row for row in rows if row[1]])
    if one.changes:
        changes = [(change.what, change.name, change.n_items, *_rates(change)) for change in one.changes]
        columns = ("of", "name", "items", "wrong runs before", "after", "error rate before", "after")
        print_table("The error behind it, on dev before and after the training of this round", columns, changes)
        console.print(_told(one.changes[0]), soft_wrap=True)


def _cause(one: controller_pb2.SampleLineage) -> str:
    cause = one.cause
    if one.kind == "replay":
        return "not at all: an item of the replay set, against forgetting"
    if not cause.capability and not cause.prototype_id and not cause.HasField("score"):
        return "at random: no error caused it"
    parts = [
        f"by {cause.strategy}",
        f"for {cause.capability}" if cause.capability else "",
        f"by prototype {cause.prototype_id}" if cause.prototype_id else "",
        f"cosine {cause.similarity:.3f}" if cause.HasField("similarity") else "",
        f"contrast {cause.contrast:.3f}" if cause.HasField("contrast") else "",
        f"score {cause.score:.3f}" if cause.HasField("score") else "",
        f"failures {', '.join(failure.item_id for failure in cause.failures)}" if cause.failures else "",
    ]
    return ", ".join(filter(None, parts))


def _decision(decision: controller_pb2.DecisionFacts) -> list[tuple[str, str]]:
    options = "; ".join(f"{letter}. {text}" for letter, text in sorted(decision.options.items()))
    route = f"{decision.route} ({decision.audited_route})" if decision.audited_route else decision.route
    signals = [
        f"entropy {decision.entropy:.3f}" if decision.HasField("entropy") else "",
        f"agreement {decision.agreement:.2f}" if decision.HasField("agreement") else "",
        decision.route_reason,
    ]
    reviewed = " by ".join(filter(None, (decision.expert_action, decision.reviewer)))
    return [
        ("question", f"{decision.question} {options}".strip()),
        ("answer", decision.answer or "none"),
        ("model, oracle", f"{decision.self_answer or '-'}, {decision.reference_answer or '-'}"),
        ("route", ", ".join(filter(None, (route, *signals)))),
        ("expert", reviewed or "did not see it"),
        ("simulated", "yes: the oracle or the expert" if decision.is_simulated else "no"),
    ]


def _costs(entries: Iterable[controller_pb2.LedgerEntry]) -> list[str]:
    """By kind and state; of all questions about the image, since one call may answer several."""
    sums: dict[tuple[str, str], list[float]] = {}
    for entry in entries:
        own = sums.setdefault((entry.cost.kind, entry.state), [0, 0.0, 0, 0.0, 0])
        figures = (1, entry.cost.usd, entry.cost.tokens, entry.cost.expert_seconds, entry.cost.is_usage_unstated)
        sums[entry.cost.kind, entry.state] = [sum(pair) for pair in zip(own, figures, strict=True)]
    return [
        f"{kind}, {state}: calls about the image {calls:.0f}, {usd:.4f} US dollars, {tokens:.0f} tokens, "
        f"{seconds:.0f} s of an expert{f', {unstated:.0f} of them at the most: no usage was stated' if unstated else ''}"
        for (kind, state), (calls, usd, tokens, seconds, unstated) in sums.items()
    ]


def _rates(change: controller_pb2.ErrorChange) -> list[str]:
    rates = (
        change.before if change.HasField("before") else None,
        change.after if change.HasField("after") else None,
        change.error_rate_before if change.HasField("error_rate_before") else None,
        change.error_rate_after if change.HasField("error_rate_after") else None,
    )
    return ["-" if rate is None else f"{rate:.3f}" for rate in rates]


def _told(change: controller_pb2.ErrorChange) -> str:
    if not change.HasField("after") or not change.HasField("before"):
        return "Whether the error fell is not known yet: no later model has answered dev."
    difference = change.after - change.before
    verb = "fell" if difference < 0 else "rose" if difference > 0 else "stayed"
    return (
        f"The share of wrong runs of {change.what} {change.name} {verb}: {change.before:.3f} before, {change.after:.3f} after. "
        "Many samples were trained on together: this one alone did not do it."
    )


def _show_item(item: controller_pb2.ItemLineage) -> None:
    console.print(f"{item.item_id}: {item.question} (right: {item.gold})", soft_wrap=True)
    rows = [
        (
            one.arm,
            one.round,
            f"{one.n_wrong} of {one.n_runs}",
            " ".join(one.answers),
            ("yes" if one.is_failure else "no") if one.HasField("is_failure") else "-",
            one.prototype_id or "-",
            one.capability or "-",
            len(one.sample_ids),
            ", ".join(f"{route} {n}" for route, n in sorted(one.decided.items())) or "-",
            one.n_trained,
        )
        for one in item.rounds
    ]
    columns = ("arm", "round", "wrong", "answers", "failure", "prototype", "cell", "drawn", "decided", "trained on")
    print_table("The item by round, and what was done about its prototype or cell", columns, rows)
