"""`medq evaluate`: score a checkpoint on a MedQ-Bench TSV."""

from __future__ import annotations

from itertools import count
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
from cli.options import Json, Out, one_of
from cli.output import (
    GRADE_COLUMNS,
    PARTIAL,
    console,
    coverage_text,
    grade_cells,
    print_few_sources,
    print_json,
    print_table,
    score_text,
    shown_errors,
)
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from medq.training.v1 import training_pb2, training_pb2_grpc
from shared.rows.encoding import from_json, from_lines
from shared.rows.evaluation import Description, Perception, Score, Scores, Unscored
from shared.rpc.channels import Channels
from shared.rpc.choices import choices
from shared.rpc.operations import TERMINAL_STATES, find

EXTRACTORS = choices(evaluation_pb2.Extractor.DESCRIPTOR)
ANSWER_FORMS = choices(evaluation_pb2.AnswerForm.DESCRIPTOR)
Extractor = Annotated[
    str,
    typer.Option(
        parser=one_of(EXTRACTORS),
        metavar="|".join(EXTRACTORS),
        help="How replies are read: by rules, as the leaderboard does, the likeliest option, or with a judge model.",
    ),
]
AnswerForm = Annotated[
    str,
    typer.Option(
        parser=one_of(ANSWER_FORMS),
        metavar="|".join(ANSWER_FORMS),
        help="How questions are put: with options, answered by letter or by text; or open, the question alone.",
    ),
]


def evaluate(
    model: Annotated[Path, typer.Option(exists=True, file_okay=False, help="A Hugging Face checkpoint folder.")],
    items: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A MedQ-Bench TSV.")],
    out: Out,
    *,
    runs: Annotated[int, typer.Option(min=1, help="Answers per item; 1 is greedy, more are sampled.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampled answers.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 16,
    extractor: Extractor = "strict",
    answer_form: AnswerForm = "letter",
    judge: Annotated[str, typer.Option(help="The endpoint of the site that judges descriptions; else UNSCORED.")] = "",
    description_tokens: Annotated[int, typer.Option(min=1, help="Longest description.")] = 256,
    access: Access,
    is_json: Json = False,
) -> None:
    """Answer each item and score it, with intervals by source; every answer goes to answers.jsonl."""
    sampling = evaluation_pb2.Sampling(
        temperature=0.0 if runs == 1 else 1.0, top_p=1.0, max_new_tokens=max_new_tokens, seed=seed
    )
    name = f"answers-{runs}-{seed}-{max_new_tokens}-{extractor}-{answer_form}-{description_tokens}-{judge or 'nobody'}"
    with shown_errors(is_json), connect(out, access) as channels:
        prefix = _prefix(channels["evaluation"], f"evaluate/{fingerprint(model, items)}", name, out)
        image_set, benchmark = _import_items(channels, prefix, items, is_json)
        is_partial = show_lost_items(channels["evaluation"], image_set, benchmark, out, is_json)
        request = evaluation_pb2.StartEvaluateRequest(
            operation_id=f"{prefix}/{name}",
            arm="none",
            model_uri=_import_model(channels, f"{prefix}/model", model, is_json),
            benchmark_uri=benchmark,
            n_runs=runs,
            sampling=sampling,
            extractor=evaluation_pb2.Extractor.ValueType(EXTRACTORS[extractor]),
            answer_form=evaluation_pb2.AnswerForm.ValueType(ANSWER_FORMS[answer_form]),
            judge=judge,
            description_tokens=description_tokens,
        )
        evaluation_pb2_grpc.EvaluationServiceStub(channels["evaluation"]).StartEvaluate(request)
        uri = _result(channels["evaluation"], request.operation_id, f"evaluate {model.name}", is_json)
        download(channels["evaluation"], uri, out)
    _show(out, is_json)
    if is_partial:
        raise typer.Exit(PARTIAL)


def _prefix(channel: grpc.Channel, base: str, name: str, out: Path) -> str:
    """What the ids of the operations begin with: another where an earlier try failed, or left something UNSCORED."""
    for number in count(1):
        prefix = base if number == 1 else f"{base}/{number}"
        found = find(channel, f"{prefix}/{name}")
        if found is None or found.state not in TERMINAL_STATES:
            break
        if found.result_uri and not download(channel, found.result_uri, out, ["unscored.jsonl"])[0].stat().st_size:
            break
    return prefix


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
    overall, described = scores.perception.overall, scores.description
    n_unscored = overall.unscored + (described.overall.unscored if described else 0)
    if is_json:
        print_json(to_builtins(scores))
    else:
        if overall.n or overall.unscored:
            _show_accuracies(scores)
        if described:
            _show_described(described)
        if n_unscored:
            _show_unscored(out)
        console.print(f"Every answer: {out / 'answers.jsonl'}")
    if n_unscored:
        raise typer.Exit(PARTIAL)


def _show_accuracies(scores: Scores) -> None:
    """Of the questions with options, overall and on every axis."""
    shown = [("overall", "", scores.perception.overall)]
    for axis, groups in _axes(scores.perception).items():
        shown += [(axis, name, score) for name, score in sorted(groups.items())]
    rows = [(axis, name, *_cells(score)) for axis, name, score in shown]
    columns = ("axis", "value", "accuracy", "of the readable", "readable", "answers", "UNSCORED")
    print_table("Accuracy: right of all answers [95 % interval by source]", columns, rows)
    print_few_sources(score for _, _, score in shown)
    if scores.extractors.judge:
        judged = (
            f"{scores.extractors.n_judged} replies that no rule reads were read by the judge {scores.extractors.judge}."
        )
        console.print(judged)
    console.print("A reply in which no option can be read counts as wrong; readable is the share of the others.")


def _show_described(scores: Description) -> None:
    """The description columns of Table 1, and who judged."""
    print_table("Descriptions: mean grades [95 % interval by source]", GRADE_COLUMNS, [grade_cells(scores)])
    judge = f"Judged by {scores.judge}" if scores.judge else "Nobody judged (--judge names an endpoint)"
    console.print(f"{judge}. The level is read from the closing phrase: 2 as the reference, 1 a neighbour, 0 else.")


def _cells(score: Score) -> tuple[object, ...]:
    scored = "-" if score.scored is None else f"{score.scored:.3f}"
    return score_text(score), scored, coverage_text(score), score.n, score.unscored


def _show_unscored(out: Path) -> None:
    """Name what could not be evaluated, and say how to go on."""
    place = out / "unscored.jsonl"
    rows = list(from_lines(place.read_bytes().splitlines(), Unscored, place.name))
    items = sorted({row.item_id for row in rows})
    console.print(
        f"UNSCORED: {len(rows)} answers to {len(items)} items could not be evaluated. That is not the model's doing, and no "
        f"figure counts them. The same command tries them again. Each with its reason: {place}"
    )
    for reason, remedy in sorted({(row.reason, row.remedy) for row in rows}):
        console.print(f"  {reason} {remedy}")


def _axes(perception: Perception) -> dict[str, dict[str, Score]]:
    return {
        "attribute": perception.by_attribute,
        "modality": perception.by_modality,
        "question_type": perception.by_question_type,
        "scope": perception.by_scope,
        "severity": perception.by_severity,
    }
