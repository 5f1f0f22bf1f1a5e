"""The closed loop, the one durable workflow: each line of it is a step that starts an operation and a step that waits for it.

Round r is the model after r trainings, so round 0 is the base model. What a step gave is remembered: after a kill the loop
runs through its lines again, and each that had ended returns at once what it gave. So nothing here may depend on anything but
the configuration and what the steps give, and no step may be renamed or put between others while a run is at work.
"""

from __future__ import annotations

from itertools import count

from services.controller.configuration.models import RunConfiguration
from services.controller.loop.calls import Calls, Collaborators
from services.controller.loop.inputs import prepare
from services.controller.loop.steps import Steps, until_stopped
from services.controller.ports import Durable, StepOutcome
from services.controller.store.runs import SHARED_ARM
from shared.database import insist
from shared.errors import MedqError, encode_error


def closed_loop(calls: Calls, configuration: RunConfiguration) -> None:
    """Evaluate, explore, evolve, until each arm stops.

    Raises:
        MedqError: A step failed; the message names it.
    """
    inputs = prepare(calls, configuration)
    for arm, own in configuration.each_arm():
        model = inputs.model
        earlier: tuple[str, ...] = ()
        annotated: tuple[str, ...] = ()
        with until_stopped():
            for round_number in count():
                at = Steps(calls.at(arm.name, round_number), own, arm, inputs, model, earlier)
                evaluation = at.evaluate_dev()
                at.evaluate_test()
                at.stop_if_done()
                failures = at.mine_failures(evaluation)
                samples = at.select_samples(failures)
                decisions = at.annotate(samples, annotated)
                annotated = (*annotated, decisions)
                dataset = at.build_dataset(decisions)
                model, earlier = at.train(dataset), (*earlier, dataset)
                at.complete_round(model)


def run(collaborators: Collaborators, run_id: str, durable: Durable) -> StepOutcome:
    """The whole of a run: the loop, then its report, also where the loop failed.

    Returns: `report_uri`, and `failure` (reason, message, metadata) where a step failed.
    """
    stored = insist(collaborators.store.get)(run_id)
    configuration = RunConfiguration.model_validate(stored.configuration)
    calls = Calls(run_id, SHARED_ARM, 0, collaborators, durable)
    failure = None
    try:
        closed_loop(calls, configuration)
    except MedqError as error:
        failure = encode_error(error)
    message = str(failure["message"]) if failure else ""
    published = calls.remember(
        "publish_report",
        lambda: {"uri": collaborators.reports.publish(run_id, message)},
        is_kept=lambda: bool(insist(collaborators.store.get)(run_id).report_uri),
    )
    return {"report_uri": published["uri"], "failure": failure}
