"""Lineage, rows of the ledger and of the audit of what leaves, as messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from medq.controller.v1 import controller_pb2 as pb
from services.controller.domain.ledger import Entry
from services.controller.domain.lineage_facts import ItemRound, SampleLineage
from services.controller.store.egress import Left
from shared.rows.annotation import Decision
from shared.rows.benchmark import Item


def of_entry(entry: Entry) -> pb.LedgerEntry:
    """A row of the ledger."""
    return pb.LedgerEntry(cost=pb.Cost(**vars(entry.cost)), attempt=entry.attempt, state=entry.state)


def of_egress(row: Left) -> pb.EgressEntry:
    """A row of the audit of what leaves."""
    entry = pb.EgressEntry(egress=pb.Egress(**vars(row.leaving)), run_id=row.run_id)
    entry.time.FromNanoseconds(int(row.noted_at * 1e9))
    return entry


def of_sample(lineage: SampleLineage) -> pb.SampleLineage:
    """The lineage of a sample."""
    plain = (
        "arm",
        "round",
        "kind",
        "sample_id",
        "decision_id",
        "image_id",
        "image_uri",
        "modality",
        "source_id",
        "fate",
    )
    return pb.SampleLineage(
        **{name: getattr(lineage, name) for name in (*plain, "dataset_uri")},
        cause=pb.Cause(**asdict(lineage.cause)) if lineage.cause else None,
        decision=_decision(lineage.decision) if lineage.decision else None,
        costs=[of_entry(entry) for entry in lineage.costs],
        changes=[pb.ErrorChange(**asdict(change)) for change in lineage.changes],
    )


def of_item(item: Item, rounds: Sequence[ItemRound]) -> pb.ItemLineage:
    """The lineage of an item of dev."""
    return pb.ItemLineage(
        item_id=item.item_id,
        image_id=item.image_id,
        question=item.question,
        gold=item.answer,
        rounds=[pb.ItemRound(**asdict(one)) for one in rounds],
    )


def _decision(row: Decision) -> pb.DecisionFacts:
    return pb.DecisionFacts(
        question=row.question,
        options=row.options,
        answer=row.answer or "",
        self_answer=row.self_answer or "",
        reference_answer=row.reference_answer,
        route=row.route,
        audited_route=row.audited_route,
        route_reason=row.route_reason,
        expert_action=row.expert_action,
        entropy=row.entropy,
        agreement=row.agreement,
        is_simulated=row.simulated,
    )
