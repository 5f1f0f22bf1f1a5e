"""`medq evaluate`: score a checkpoint on a MedQ-Bench TSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import grpc
import typer
from msgspec import to_builtins

from cli.access import Access
from cli.connection import connect
from cli.fingerprint import fingerprint
from cli.follow import download, finish
from cli.left_out import show_lost_items
from cli.options import Json, Out
from cli.output import PARTIAL, console, print_json, print_table, score_text, shown_errors
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from medq.training.v1 import training_pb2, training_pb2_grpc
from shared.rows.encoding import from_json
from shared.rows.evaluation import Perception, Score, Scores
from shared.rpc.channels import Channels


def evaluate(
    model: Annotated[Path, typer.Option(exists=True, file_okay=False, help="A Hugging Face checkpoint folder.")],
    items: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A MedQ-Bench TSV.")],
    out: Out,
    *,
    runs: Annotated[int, typer.Option(min=1, help="Answers per item; 1 is greedy, more are sampled.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampled answers.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 16,
    access: Access,
    is_json: Json = False,
) -> None:
    """Answer each item and score it, with intervals by source; every answer goes to answers.jsonl."""
    key = fingerprint(model, items)
    sampling = evaluation_pb2.Sampling(
        temperature=0.0 if runs == 1 else 1.0, top_p=1.0, max_new_tokens=max_new_tokens, seed=seed
    )
    operation_id = f"evaluate/{key}/{runs}-{seed}-{max_new_tokens}"
    with shown_errors(is_json), connect(out, access) as channels:
        image_set, benchmark = _import_items(channels, f"evaluate/{key}", items, is_json)
        is_partial = show_lost_items(channels["evaluation"], image_set, benchmark, out, is_json)
        request = evaluation_pb2.StartEvaluateRequest(
            operation_id=operation_id,
            arm="none",
            model_uri=_import_model(channels, f"evaluate/{key}/model", model, is_json),
            benchmark_uri=benchmark,
            n_runs=runs,
            sampling=sampling,
            extractor=evaluation_pb2.EXTRACTOR_STRICT,
        )
        evaluation_pb2_grpc.EvaluationServiceStub(channels["evaluation"]).StartEvaluate(request)
        uri = _result(channels["evaluation"], operation_id, f"evaluate {model.name}", is_json)
        download(channels["evaluation"], uri, out)
    _show(out, is_json)
    if is_partial:
        raise typer.Exit(PARTIAL)


def _import_model(channels: Channels, operation_id: str, model: Path, is_quiet: bool) -> str:
    stub = training_pb2_grpc.TrainingServiceStub(channels["training"])
    stub.StartImportModel(
        training_pb2.StartImportModelRequest(operation_id=operation_id, folder_uri=str(model.resolve()))
    )
    return _result(channels["training"], operation_id, f"import {model.name}", is_quiet)


def _import_items(channels: Channels, prefix: str, items: Path, is_quiet: bool) -> tuple[str, str]:
    """The image set and the benchmark of a table."""
    place = str(items.resolve())
    images = embedding_pb2_grpc.EmbeddingServiceStub(channels["embedding"])
    images.StartIngest(
        embedding_pb2.StartIngestRequest(operation_id=f"{prefix}/images", source_uri=place, split="test")
    )
    image_set = _result(channels["embedding"], f"{prefix}/images", f"ingest {items.name}", is_quiet)
    benchmarks = evaluation_pb2_grpc.EvaluationServiceStub(channels["evaluation"])
    benchmarks.StartImportBenchmark(
        evaluation_pb2.StartImportBenchmarkRequest(
            operation_id=f"{prefix}/items", items_uri=place, image_set_uri=image_set, split="test"
        )
    )
    return image_set, _result(channels["evaluation"], f"{prefix}/items", f"import {items.name}", is_quiet)


def _result(channel: grpc.Channel, operation_id: str, title: str, is_quiet: bool) -> str:
    return finish(channel, operation_id, title, is_quiet).result_uri


def _show(out: Path, is_json: bool) -> None:
    scores = from_json((out / "scores.json").read_bytes(), Scores, "scores.json")
    perception = scores.perception
    if is_json:
        print_json(to_builtins(scores))
    else:
        rows = [("overall", "", score_text(perception.overall), perception.overall.n)]
        for axis, groups in _axes(perception).items():
            rows += [(axis, name, score_text(score), score.n) for name, score in sorted(groups.items())]
        print_table("Accuracy [95 % interval by source]", ("axis", "value", "accuracy", "n"), rows)
        console.print(f"UNSCORED answers: {perception.overall.unscored}. Every answer: {out / 'answers.jsonl'}")
    if perception.overall.unscored:
        raise typer.Exit(PARTIAL)


def _axes(perception: Perception) -> dict[str, dict[str, Score]]:
    return {
        "attribute": perception.by_attribute,
        "modality": perception.by_modality,
        "question_type": perception.by_question_type,
        "scope": perception.by_scope,
        "severity": perception.by_severity,
    }
