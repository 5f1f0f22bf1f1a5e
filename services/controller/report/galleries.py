"""Galleries of a run, page by page: what a round drew, and the items of dev behind it or in a cell."""

from __future__ import annotations

from collections.abc import Sequence

from medq.controller.v1 import controller_pb2 as pb
from services.controller.domain.fates import Fates
from services.controller.domain.galleries import DevItem, drawn_by, failed_items, with_answers
from services.controller.domain.lineage import shortened
from services.controller.report.rounds import RoundReader, Uris
from services.controller.store.runs import RunStore
from shared.errors import InvalidArgument, NotFound
from shared.objects.store import ObjectStore
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import Failure, PrototypeRow
from shared.rows.selection import Sample
from shared.rpc.checks import read_page_token, require_different, require_round

_MOST_SEARCHES = 50
#: Largest pages, and pages where nothing is said, in images and in items.
_MOST_DRAWN, _DRAWN, _MOST_ITEMS, _ITEMS = 500, 100, 100, 50
#: Characters of a question or a description, and of an option, that a gallery shows.
_QUESTION, _OPTION = 500, 120


class Galleries:
    """Galleries of runs.

    Args:
        objects: Where the datasets of a run lie.
        store: What its steps gave.
    """

    def __init__(self, objects: ObjectStore, store: RunStore) -> None:
        self._read, self._store = RoundReader(objects, store), store

    def list_drawn(self, request: pb.ListDrawnRequest) -> pb.ListDrawnResponse:
        """What searches of a round drew.

        Raises:
            NotFound: No such run, arm or round.
            InvalidArgument: No search is named, or one twice, or too many; a page token of nobody.
        """
        _require_searches(request.searches, least=1)
        steps = self._steps(request.run_id, request.arm, request.round)
        start, size = _page(request, _DRAWN, _MOST_DRAWN)
        rows = self._read.drawn(request.arm, request.round, steps)
        drawn = drawn_by(rows.samples, request.searches, request.most_each)
        fates = Fates(rows)
        return pb.ListDrawnResponse(
            images=[_drawn_image(search, sample, fates) for search, sample in drawn[start : start + size]],
            next_page_token=_following(start + size, len(drawn)),
        )

    def list_dev_items(self, request: pb.ListDevItemsRequest) -> pb.ListDevItemsResponse:
        """Items of dev behind searches of a round, or of a cell.

        Raises:
            NotFound, InvalidArgument: As `list_drawn`; searches need not be named.
        """
        _require_searches(request.searches)
        steps = self._steps(request.run_id, request.arm, request.round)
        start, size = _page(request, _ITEMS, _MOST_ITEMS)
        rounds = {0: self._steps(request.run_id, request.arm, 0), request.round: steps}
        answers = {number: self._read.rows(of, "evaluate_dev", Answer) for number, of in rounds.items()}
        wanted = self._wanted(request, steps)
        most_each = request.most_each if request.searches else 0
        items = with_answers(wanted, answers, request.round, most_each)
        return pb.ListDevItemsResponse(
            items=[_dev_item(one) for one in items[start : start + size]],
            next_page_token=_following(start + size, len(items)),
            total=len(items),
        )

    def _wanted(self, request: pb.ListDevItemsRequest, steps: Uris) -> list[tuple[str, Item]]:
        """Search ("" for none) and item of each that is asked for."""
        labels = {
            name: getattr(request, name)
            for name in ("modality", "attribute", "question_type")
            if request.HasField(name)
        }
        items = {
            item.item_id: item
            for item in self._read.dev_items(request.run_id)
            if all(getattr(item, name) == value for name, value in labels.items())
        }
        if not request.searches:
            return [("", item) for item in items.values()]
        failures = self._read.rows(steps, "mine_failures", Failure)
        prototypes = self._read.rows(steps, "mine_failures", PrototypeRow)
        behind = failed_items(failures, prototypes, request.searches)
        return [(search, items[item_id]) for search, item_id in behind if item_id in items]

    def _steps(self, run_id: str, arm: str, number: int) -> Uris:
        require_round(number)
        self._store.get(run_id)
        found = self._read.rounds(run_id).get((arm, number))
        if found is None:
            raise NotFound(
                "The run has no such round.",
                field="round",
                value=f"{arm}, {number}",
                remedy="GetReport has its rounds.",
            )
        return found


def _require_searches(searches: Sequence[str], least: int = 0) -> None:
    require_different("searches", searches, _MOST_SEARCHES)
    if len(searches) < least:
        raise InvalidArgument("At least one is needed.", field="searches", remedy="GetReport names them.")


def _page(request: pb.ListDrawnRequest | pb.ListDevItemsRequest, usual: int, most: int) -> tuple[int, int]:
    """Where a page begins, and how much it holds at most."""
    return read_page_token(request.page_token) or 0, min(request.page_size or usual, most)


def _following(end: int, n: int) -> str:
    return str(end) if end < n else ""


def _drawn_image(search: str, sample: Sample, fates: Fates) -> pb.DrawnImage:
    return pb.DrawnImage(
        search=search,
        sample_id=sample.sample_id,
        image_id=sample.image_id,
        modality=sample.modality,
        similarity=sample.similarity,
        contrast=sample.contrast,
        score=sample.score,
        fates=fates.of_sample(sample.sample_id),
        is_simulated=any(row.simulated for row in fates.decisions(sample.sample_id)),
    )


def _dev_item(one: DevItem) -> pb.DevItem:
    return pb.DevItem(
        item_id=one.item.item_id,
        search=one.search,
        image_id=one.item.image_id,
        question=shortened(one.item.question, _QUESTION),
        options={letter: shortened(text, _OPTION) for letter, text in one.item.options.items()},
        gold=shortened(one.item.answer, _QUESTION),
        answers=[
            pb.DevAnswers(round=by.round, n_runs=by.n_runs, n_wrong=by.n_wrong, replies=by.replies)
            for by in one.answers
        ],
    )
