"""The six services take in planted identifiers: `python -m tests.support.planted_services FOLDER [STUDY]`.

A program of its own, so that all that it writes is seen: logs at DEBUG, audit, spans, metrics, answers and downloads. With a
study, a run goes over it to its report. What is to be looked through lies in FOLDER/state and FOLDER/seen, and was printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Callers:
    """Calls with the token of a role, and writes down what is answered."""

    def __init__(self, folder: Path, tokens: dict[str, Path], targets: dict[str, str]) -> None:
        from shared.rpc.channels import Channels, Credentials

        self._channels = {role: Channels(targets, Credentials(token_file=file)) for role, file in tokens.items()}
        self._seen = folder / "seen"
        self._answers = (self._seen / "answers").open("w", encoding="utf-8")

    def channel(self, service: str, role: str = "operator") -> Any:
        return self._channels[role][service]

    def noted(self, call: Callable[[], Any]) -> Any:
        """What a call answers; None where it ends with an error."""
        import grpc

        from shared.errors import MedqError

        try:
            answer = call()
        except (grpc.RpcError, MedqError) as error:
            self._answers.write(f"{error}\n{getattr(error, 'metadata', '')}\n")
            return None
        self._answers.write(f"{answer}\n")
        return answer

    def operate(self, service: str, start: Callable[[Any], Any], request: Any) -> str:
        """Start an operation and wait for its end; its result's URI, "" where it failed."""
        from shared.rpc.operations import await_operation

        self.noted(lambda: start(request))
        done = self.noted(lambda: await_operation(self.channel(service), request.operation_id))
        return str(done.result_uri) if done else ""

    def download(self, service: str, uri: str) -> None:
        """All files of a dataset, by each role that may."""
        from cli.follow import download

        for role in self._channels:
            self.noted(lambda role=role: download(self.channel(service, role), uri, self._seen / role / uri[-8:]))

    def close(self) -> None:
        """Write what is left, and the metrics."""
        from prometheus_client import generate_latest

        from medq.operations.v1 import operations_pb2 as pb
        from medq.operations.v1 import operations_pb2_grpc as pb_grpc
        from shared.settings import SERVICES

        for service in SERVICES:
            stub = pb_grpc.OperationsServiceStub(self.channel(service, "reader"))
            self.noted(lambda stub=stub: stub.ListOperations(pb.ListOperationsRequest()))
        self._answers.close()
        (self._seen / "metrics").write_bytes(generate_latest())
        for channels in self._channels.values():
            channels.close()


def take_in(callers: Callers, folder: Path) -> None:
    """Ingest, import, index, look for leaks; some of it must fail."""
    from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
    from medq.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
    from medq.oracle.v1 import oracle_pb2, oracle_pb2_grpc
    from medq.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
    from tests.support.planted import plant_broken_tables, plant_manifest, plant_pictures, plant_questions

    embedding = embedding_pb2_grpc.EmbeddingServiceStub(callers.channel("embedding"))
    evaluation = evaluation_pb2_grpc.EvaluationServiceStub(callers.channel("evaluation"))
    retrieval = retrieval_pb2_grpc.RetrievalServiceStub(callers.channel("retrieval"))
    oracle = oracle_pb2_grpc.OracleServiceStub(callers.channel("oracle"))
    given = folder / "given"
    plant_pictures(given / "pool")
    manifest = plant_manifest(given / "manifest.tsv", given / "pictures")
    questions = plant_questions(given / "questions.tsv", given / "pictures")

    def ingest(name: str, source: Path) -> str:
        request = embedding_pb2.StartIngestRequest(operation_id=name, source_uri=str(source), split="pool")
        return callers.operate("embedding", embedding.StartIngest, request)

    def import_table(name: str, table: Path, image_set: str) -> str:
        request = evaluation_pb2.StartImportBenchmarkRequest(
            operation_id=name, items_uri=str(table), image_set_uri=image_set, split="pool"
        )
        return callers.operate("evaluation", evaluation.StartImportBenchmark, request)

    pool, pictures = ingest("pool", given / "pool"), ingest("manifest", manifest)
    benchmark = import_table("questions", questions, pictures)
    for number, table in enumerate(plant_broken_tables(given)):
        ingest(f"broken/{number}", table)
        import_table(f"broken/{number}", table, pictures)
    index = retrieval_pb2.StartIndexImagesRequest(operation_id="index", image_set_uri=pool)
    callers.operate("retrieval", retrieval.StartIndexImages, index)
    known = oracle_pb2.StartImportKnownAnswersRequest(operation_id="known", benchmark_uri=benchmark)
    answers = callers.operate("oracle", oracle.StartImportKnownAnswers, known)
    for service, uri in (("embedding", pool), ("embedding", pictures), ("evaluation", benchmark), ("oracle", answers)):
        if not uri:
            raise RuntimeError(f"{service} made nothing")
        callers.download(service, uri)


def run_study(callers: Callers, folder: Path, study: Path) -> None:
    """Run a study among whose pool there are planted pictures, and fetch its report as the command does."""
    from cli.commands.run import fetch_report
    from medq.controller.v1 import controller_pb2, controller_pb2_grpc
    from shared.rpc.operations import await_operation

    controller = callers.channel("controller")
    stub = controller_pb2_grpc.ControllerServiceStub(controller)
    text = (study / "run.yaml").read_text(encoding="utf-8")
    stub.StartRun(controller_pb2.StartRunRequest(run_id="run", config_yaml=text, base_folder=str(study)))
    await_operation(controller, "run")
    fetch_report(controller, "run", folder / "seen" / "out")
    callers.noted(lambda: stub.ListCosts(controller_pb2.ListCostsRequest(run_id="run")))


def main() -> None:
    """Serve, call, and end."""
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    from services.embedded import Embedded
    from shared.logs import configure_logs, log_uncaught_errors
    from shared.rpc.rights import Role
    from shared.tracing import configure_tracing
    from tests.support.guarded import add_caller

    folder, study = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    (folder / "seen").mkdir()
    configure_logs("DEBUG")
    log_uncaught_errors()
    list_of_callers = folder / "callers.yaml"
    tokens = {role.value: folder / f"{role}.token" for role in Role}
    for role, file in tokens.items():
        file.write_text(add_caller(list_of_callers, f"the {role}", role), encoding="utf-8")
    auth = {"tokens_file": str(list_of_callers), "token_file": str(tokens["service"])}
    with (folder / "seen" / "spans").open("w", encoding="utf-8") as spans:
        end = configure_tracing("embedded", "", SimpleSpanProcessor(ConsoleSpanExporter(out=spans)))
        with Embedded(folder / "state", {"auth": auth, "log_level": "DEBUG"}) as embedded:
            callers = Callers(folder, tokens, embedded.targets)
            take_in(callers, folder)
            for one in study:
                run_study(callers, folder, one)
            callers.close()
        end()


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "shared" / "gen")]
    main()
