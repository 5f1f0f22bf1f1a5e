"""Galleries of a run: what its searches drew beside what had failed, the dev images of a cell, and the pictures themselves."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.embedding.v1.embedding_pb2 import GetThumbnailRequest
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from shared.errors import NotFound
from web.calls import Services
from web.console.figures import report_of
from web.identity import As
from web.kept import KEPT, has_it
from web.pages import page

Json = dict[str, Any]
router = APIRouter(include_in_schema=False)
Name = Annotated[str, Query(max_length=200)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
_SEARCHES, _FAILED_EACH, _DRAWN_EACH = 12, 3, 8  # of the page of a round
_DRAWN, _FAILED, _ITEMS = 60, 12, 24  # of the pages of a search and of a cell


@router.get("/runs/{run_id}/images/{digest}.png")
def image(request: Request, run_id: str, digest: Digest, services: As) -> Response:
    """A stored image, small; who may see runs may see their images."""
    etag = f'"{digest}-small"'
    if has_it(request, etag):
        return Response(status_code=304, headers={**KEPT, "ETag": etag})
    asked = GetThumbnailRequest(image_id=digest)
    found = services.stub("embedding", EmbeddingServiceStub).GetThumbnail(asked)
    return Response(found.png, media_type="image/png", headers={**KEPT, "ETag": etag})


@router.get("/runs/{run_id}/prototypes")
def searches(
    request: Request,
    run_id: str,
    services: As,
    arm: Name = "",
    round: Annotated[int | None, Query(ge=0)] = None,
    first: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """What a round went looking for: the first images of each search; the last round that drew where none is named."""
    report = _report(services, run_id)
    draws = _draws(report)
    chosen = _chosen(report, draws, arm, round)
    shown = chosen["searches"][first : first + _SEARCHES] if chosen else []
    drawn: list[pb.DrawnImage] = []
    failed: list[pb.DevItem] = []
    if chosen and shown:
        names = [one["name"] for one in shown]
        place: Json = {"run_id": run_id, "arm": chosen["arm"], "round": chosen["round"], "searches": names}
        stub = services.stub("controller", ControllerServiceStub)
        drawn += stub.ListDrawn(pb.ListDrawnRequest(**place, most_each=_DRAWN_EACH, page_size=500)).images
        asked = pb.ListDevItemsRequest(**place, most_each=_FAILED_EACH, page_size=100)
        failed += stub.ListDevItems(asked).items
    return page(
        request,
        "console/prototypes.html",
        run_id=run_id,
        draws=draws,
        chosen=chosen,
        first=first,
        following=first + _SEARCHES if chosen and first + _SEARCHES < len(chosen["searches"]) else None,
        cards=[
            {
                **one,
                "failed": [told_item(item) for item in failed if item.search == one["name"]],
                "drawn": [told_image(image) for image in drawn if image.search == one["name"]],
            }
            for one in shown
        ],
        simulated_parts=[one["part"] for one in report["simulated"]],
    )


@router.get("/runs/{run_id}/prototypes/search")
def search(
    request: Request,
    run_id: str,
    services: As,
    arm: Name,
    round: Annotated[int, Query(ge=0)],
    name: Annotated[str, Query(max_length=400)],
    drawn_from: Name = "",
    failed_from: Name = "",
) -> Response:
    """One search: all that failed and all that was drawn, page by page."""
    report = _report(services, run_id)
    chosen = _chosen(report, _draws(report), arm, round)
    card = next((one for one in chosen["searches"] if one["name"] == name), None) if chosen else None
    if chosen is None or card is None:
        raise _nothing("name", name)
    place: Json = {"run_id": run_id, "arm": arm, "round": round, "searches": [name]}
    stub = services.stub("controller", ControllerServiceStub)
    drawn = stub.ListDrawn(pb.ListDrawnRequest(**place, page_size=_DRAWN, page_token=drawn_from))
    failed = stub.ListDevItems(pb.ListDevItemsRequest(**place, page_size=_FAILED, page_token=failed_from))
    return page(
        request,
        "console/search.html",
        run_id=run_id,
        chosen=chosen,
        card=card,
        drawn=[told_image(one) for one in drawn.images],
        failed=[told_item(one) for one in failed.items],
        n_failed_items=failed.total,
        drawn_from=drawn_from,
        failed_from=failed_from,
        drawn_following=drawn.next_page_token,
        failed_following=failed.next_page_token,
        simulated_parts=[one["part"] for one in report["simulated"]],
    )


@router.get("/runs/{run_id}/cells")
def cell(
    request: Request, run_id: str, services: As, arm: Name, modality: Name, value: Name = "", page_token: Name = ""
) -> Response:
    """The dev images of a cell of the map of weakness, those that the model that comes out fails most first."""
    report = _report(services, run_id)
    weakness = report["arms"].get(arm, {"weakness": None})["weakness"]
    cells = weakness["cells"] if weakness else []
    own = next((one for one in cells if (one["modality"], one["value"]) == (modality, value)), None)
    if own is None:
        raise _nothing("value", f"{modality}, {value}")
    place: Json = {
        "run_id": run_id,
        "arm": arm,
        "round": weakness["round"],
        "modality": modality,
        weakness["axis"]: value,
    }
    asked = pb.ListDevItemsRequest(**place, page_size=_ITEMS, page_token=page_token)
    found = services.stub("controller", ControllerServiceStub).ListDevItems(asked)
    return page(
        request,
        "console/cell.html",
        run_id=run_id,
        arm=arm,
        cell=own,
        number=weakness["round"],
        items=[told_item(one) for one in found.items],
        total=found.total,
        page_token=page_token,
        following=found.next_page_token,
        simulated_parts=[one["part"] for one in report["simulated"]],
    )


def told_item(item: pb.DevItem) -> Json:
    """An item in words: what is right, and what the base model and the model of the round answered."""
    return {
        "item_id": item.item_id,
        "image_id": item.image_id,
        "question": item.question,
        "gold": _with_text(item, item.gold),
        "answers": [_told_answers(item, by) for by in item.answers],
    }


def told_image(image: pb.DrawnImage) -> Json:
    """A drawn image in words: how near it is, and what became of the questions about it."""
    near = {name.name: value for name, value in image.ListFields() if name.name in ("similarity", "contrast")}
    if image.HasField("score"):
        near[image.search] = image.score
    return {
        "image_id": image.image_id,
        "sample_id": image.sample_id,
        "near": [f"{name} {value:.2f}" for name, value in near.items()],
        "fates": [fate if n == 1 else f"{n} questions: {fate}" for fate, n in sorted(image.fates.items())],
        "is_simulated": image.is_simulated,
    }


def _told_answers(item: pb.DevItem, by: pb.DevAnswers) -> Json:
    replies = sorted(by.replies.items(), key=lambda one: (-one[1], one[0]))
    told = [_with_text(item, reply) + (f" ({n} of {by.n_runs})" if n < by.n_runs else "") for reply, n in replies]
    return {"round": by.round, "n_runs": by.n_runs, "n_wrong": by.n_wrong, "text": ", ".join(told)}


def _with_text(item: pb.DevItem, reply: str) -> str:
    """An answer as it is shown: a letter with the text of its option; what was no letter is quoted."""
    if reply in item.options:
        return f"{reply}: {item.options[reply]}"
    return f"“{reply}”" if item.options else reply


def _report(services: Services, run_id: str) -> Json:
    report = report_of(services, run_id)
    if report is None:
        raise _nothing("run_id", run_id)
    return report


def _draws(report: Json) -> list[Json]:
    """Each round of each arm that drew images, with how it drew them in fact, and with its searches."""
    return [
        {
            "arm": name,
            "round": facts["round"],
            "strategy": drawn.get("drawn_by") or drawn["strategy"],
            **{key: drawn[key] for key in ("searches", "selected")},
        }
        for name, arm in report["arms"].items()
        for facts in arm["rounds"]
        if (drawn := facts["selection"])
    ]


def _chosen(report: Json, draws: list[Json], arm: str, number: int | None) -> Json | None:
    """The draw that is asked for; without a question the last one that searched, of the arm that the result tells of first.

    Raises:
        NotFound: There is none of this arm and round.
    """
    if arm or number is not None:
        found = [one for one in draws if arm in ("", one["arm"]) and number in (None, one["round"])]
        if not found:
            raise _nothing("round", f"{arm}, {number}")
        return found[-1]
    return max(
        draws,
        key=lambda one: (bool(one["searches"]), one["arm"] == report["result"]["arm"], one["round"]),
        default=None,
    )


def _nothing(field: str, value: str) -> NotFound:
    return NotFound("The run has no such thing to show.", field=field, value=value, remedy="Go back to the run.")
