"""What comes before the loop: the pool, the benchmarks, the known answers and the model are brought in, once for all arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medq.embedding.v1 import embedding_pb2
from medq.evaluation.v1 import evaluation_pb2
from medq.oracle.v1 import oracle_pb2
from medq.retrieval.v1 import retrieval_pb2
from medq.training.v1 import training_pb2
from services.controller.configuration.models import RunConfiguration
from services.controller.domain.losses import require_kept
from services.controller.loop import other_services as ask
from services.controller.loop.calls import Calls
from services.controller.ports import StepOutcome
from services.controller.report.facts import FURTHER, sets_of


@dataclass(frozen=True)
class Inputs:
    """What all arms share, by URI; `replay` and `known_answers` are empty where the configuration names or needs none.

    `tests` has the questions of test and of each further test, by the step that has the model answer them.
    """

    pool: str
    dev_images: str
    dev: str
    test_images: Sequence[str]
    tests: Mapping[str, str]
    replay_images: str
    replay: str
    known_answers: str
    model: str


def prepare(calls: Calls, configuration: RunConfiguration) -> Inputs:
    """Bring in the pool, the benchmarks, the known answers and the model; put the pool into the index.

    Raises:
        FailedPrecondition: A set lost more than `data.max_lost_share`.
    """
    data = configuration.data

    def ingest(split: str, source: str, further: str = "") -> str:
        request = embedding_pb2.StartIngestRequest(
            source_uri=source,
            split=split,
            default_modality=data.modality,
            run_id=calls.run_id,
            encoder=configuration.encoder,
        )
        return calls.operate(f"ingest_{further or split}", ask.INGEST, request).uri

    def benchmark(split: str, items: str, images: str, guards: Sequence[str] = (), further: str = "") -> str:
        request = evaluation_pb2.StartImportBenchmarkRequest(
            items_uri=items,
            image_set_uri=images,
            split=split,
            guard_uris=guards,
            phash_distance=configuration.build.phash_distance,
            twin_similarity=configuration.build.twin_similarity,
        )
        return calls.operate(f"import_{further or split}", ask.IMPORT_BENCHMARK, request).uri

    pool, dev, test = ingest("pool", data.pool), ingest("dev", data.dev), ingest("test", data.test)
    tables = {f"{FURTHER}{name}": table for name, table in sorted(data.further_tests.items())}
    further = {name: ingest("test", table, name) for name, table in tables.items()}
    test_images = tuple(dict.fromkeys((test, *further.values())))  # two tables may show the same images
    replay = ingest("replay", data.replay) if data.replay else ""
    answers = benchmark("pool", data.pool_answers, pool) if configuration.is_simulated and data.pool_answers else ""
    guards = test_images if data.dev_guarded else ()
    dev_items, test_items = benchmark("dev", data.dev, dev, guards), benchmark("test", data.test, test)
    tests = {name: benchmark("test", tables[name], images, further=name) for name, images in further.items()}
    replay_items = benchmark("replay", data.replay, replay) if data.replay else ""
    calls.remember("check_inputs", lambda: _check(calls, data.max_lost_share))
    known = oracle_pb2.StartImportKnownAnswersRequest(benchmark_uri=answers)
    model = training_pb2.StartImportModelRequest(folder_uri=configuration.model)
    inputs = Inputs(
        pool=pool,
        dev_images=dev,
        dev=dev_items,
        test_images=test_images,
        tests={f"evaluate_{name}": items for name, items in {"test": test_items, **tests}.items()},
        replay_images=replay,
        replay=replay_items,
        known_answers=calls.operate("import_known_answers", ask.IMPORT_KNOWN_ANSWERS, known).uri if answers else "",
        model=calls.operate("import_model", ask.IMPORT_MODEL, model).uri,
    )
    calls.operate("index_images", ask.INDEX_IMAGES, retrieval_pb2.StartIndexImagesRequest(image_set_uri=pool))
    return inputs


def _check(calls: Calls, max_lost_share: float) -> StepOutcome:
    """End the run where a set lost too much, before a model is asked or an image is annotated."""
    require_kept(sets_of(calls.collaborators.store.results(calls.run_id)), max_lost_share)
    return {}
