"""The RPCs of the controller: runs, their reports, where things come from; `spending_service` has those of costs and egress."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import grpc

from medq.controller.v1 import controller_pb2 as pb
from services.controller.configuration.check import check, effective_yaml, require
from services.controller.configuration.notes import notes_on
from services.controller.loop.calls import Collaborators
from services.controller.loop.encoders import encoder_problems, require_encoder
from services.controller.loop.estimates import estimate_run
from services.controller.report import lineage_messages
from services.controller.report.galleries import Galleries
from services.controller.report.lineages import Lineages
from services.controller.report.run_messages import run_messages
from services.controller.spending_service import SpendingService
from services.controller.store.egress import EgressLog
from shared.chat.endpoints import Endpoint
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.limits import RUN_ID
from shared.operation_table import CANCELLED, FAILED, Operation
from shared.operations import Operations
from shared.rpc.checks import read_page_token


class Controller(SpendingService):
    """Serves `medq.controller.v1.ControllerService`.

    Args:
        operations: The runs as operations.
        collaborators: What the loop works with: rows of runs, ledger, reports.
        endpoints: Where clients find the services, by name, itself among them.
        input_roots: Folders in which the paths of a run must lie.
        egress: What left.
        site: The endpoints of the site, by name.
    """

    def __init__(
        self,
        operations: Operations,
        collaborators: Collaborators,
        endpoints: Mapping[str, str],
        input_roots: Sequence[Path],
        egress: EgressLog,
        site: Mapping[str, Endpoint] = MappingProxyType({}),
    ) -> None:
        super().__init__(collaborators.store, collaborators.ledger, egress)
        self._operations = operations
        self._channels = collaborators.channels
        self._reports = collaborators.reports
        self._lineages = Lineages(collaborators.objects, self._store, self._ledger)
        self._galleries = Galleries(collaborators.objects, self._store)
        self._endpoints = endpoints
        self._input_roots = input_roots
        self._site = site

    def ValidateRun(self, request: pb.ValidateRunRequest, context: grpc.ServicerContext) -> pb.ValidateRunResponse:
        """See the proto."""
        configuration, problems = check(request.config_yaml, request.base_folder, self._input_roots, self._site)
        if configuration is not None:
            problems = list(encoder_problems(self._channels, configuration.encoder))
            configuration = None if problems else configuration
        return pb.ValidateRunResponse(
            problems=[pb.Problem(**vars(problem)) for problem in problems],
            effective_yaml=effective_yaml(configuration) if configuration else "",
            notes=notes_on(configuration) if configuration else [],
        )

    def EstimateRun(self, request: pb.EstimateRunRequest, context: grpc.ServicerContext) -> pb.EstimateRunResponse:
        """See the proto."""
        configuration = require(request.config_yaml, request.base_folder, self._input_roots, self._site)
        return estimate_run(configuration, self._site)

    def StartRun(self, request: pb.StartRunRequest, context: grpc.ServicerContext) -> pb.StartRunResponse:
        """See the proto."""
        if not re.fullmatch(RUN_ID, request.run_id):
            raise InvalidArgument(
                "A run needs an id.",
                field="run_id",
                value=request.run_id,
                remedy="Up to 100 letters, digits, '.', '_', '-'; begin with a letter or digit.",
            )
        if self._store.find(request.run_id) is None:  # one that goes on has been checked before
            configuration = require(request.config_yaml, request.base_folder, self._input_roots, self._site)
            require_encoder(self._channels, configuration.encoder)
        run_id = self._operations.start(request)
        if self._operations.get(run_id).state in (FAILED, CANCELLED):
            self._store.resume(run_id)  # who starts it again wants it to go on
            self._store.ask_retry(run_id)
            self._operations.retry(run_id)
        return pb.StartRunResponse(run_id=run_id)

    def PauseRun(self, request: pb.PauseRunRequest, context: grpc.ServicerContext) -> pb.PauseRunResponse:
        """See the proto."""
        if self._operations.get(request.run_id).is_terminal:
            raise FailedPrecondition(
                "The run has ended, so there is nothing to pause.",
                field="run_id",
                value=request.run_id,
                remedy="One that failed or was called off goes on with `StartRun`, and can be paused then.",
            )
        self._store.pause(request.run_id)
        return pb.PauseRunResponse(run=self._run(request.run_id))

    def ResumeRun(self, request: pb.ResumeRunRequest, context: grpc.ServicerContext) -> pb.ResumeRunResponse:
        """See the proto."""
        found = self._operations.get(request.run_id)
        self._store.resume(request.run_id)
        self._operations.tell(request.run_id, found.done, found.total, found.message, is_due=True)
        return pb.ResumeRunResponse(run=self._run(request.run_id))

    def GetRun(self, request: pb.GetRunRequest, context: grpc.ServicerContext) -> pb.GetRunResponse:
        """See the proto."""
        return pb.GetRunResponse(run=self._run(request.run_id))

    def ListRuns(self, request: pb.ListRunsRequest, context: grpc.ServicerContext) -> pb.ListRunsResponse:
        """See the proto."""
        found, following = self._operations.list(
            limit=min(request.page_size or 100, 500), before=read_page_token(request.page_token)
        )
        return pb.ListRunsResponse(runs=self._runs(found), next_page_token="" if following is None else str(following))

    def GetReport(self, request: pb.GetReportRequest, context: grpc.ServicerContext) -> pb.GetReportResponse:
        """See the proto."""
        report_uri = self._store.get(request.run_id).report_uri
        return pb.GetReportResponse(report_json=self._reports.text(request.run_id), report_uri=report_uri)

    def GetLineage(self, request: pb.GetLineageRequest, context: grpc.ServicerContext) -> pb.GetLineageResponse:
        """See the proto."""
        if bool(request.sample_id) == bool(request.item_id):
            remedy = "Name a sample, or an item of dev."
            raise InvalidArgument("One of sample_id and item_id is set.", field="sample_id", remedy=remedy)
        if request.item_id:
            item, rounds = self._lineages.of_item(request.run_id, request.item_id)
            return pb.GetLineageResponse(item=lineage_messages.of_item(item, rounds))
        found = self._lineages.of_sample(request.run_id, request.sample_id)
        return pb.GetLineageResponse(samples=[lineage_messages.of_sample(one) for one in found])

    def ListDrawn(self, request: pb.ListDrawnRequest, context: grpc.ServicerContext) -> pb.ListDrawnResponse:
        """See the proto."""
        return self._galleries.list_drawn(request)

    def ListDevItems(self, request: pb.ListDevItemsRequest, context: grpc.ServicerContext) -> pb.ListDevItemsResponse:
        """See the proto."""
        return self._galleries.list_dev_items(request)

    def GetEndpoints(self, request: pb.GetEndpointsRequest, context: grpc.ServicerContext) -> pb.GetEndpointsResponse:
        """See the proto."""
        return pb.GetEndpointsResponse(targets=self._endpoints)

    def _run(self, run_id: str) -> pb.Run:
        try:
            operation = self._operations.get(run_id)
        except NotFound:
            remedy = "`medq status` lists those that there are."
            raise NotFound("There is no run of this name.", field="run_id", value=run_id, remedy=remedy) from None
        return self._runs([operation])[0]

    def _runs(self, operations: Sequence[Operation]) -> list[pb.Run]:
        return run_messages(operations, self._store, self._ledger)
