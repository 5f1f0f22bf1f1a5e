"""The closed loop, the one durable workflow: each line of it is a step that starts an operation and a step that waits for it.

Round r is the model after r trainings, so round 0 is the base model. The arms go side by side: a line yields what it wants
done, and the arms' wants are met together (see `lock_step`). What a step gave is remembered: after a kill the loop
runs through its lines again, and each that had ended returns at once what it gave. So nothing here may depend on anything but
the configuration and what the steps give, and no step may be renamed or put between others while a run is at work.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from services.controller.configuration.arms import ArmSection
from services.controller.configuration.models import RunConfiguration
from services.controller.domain.ledger import Limits
from services.controller.loop.calls import Calls, Collaborators
from services.controller.loop.decisions import limits_of
from services.controller.loop.inputs import Inputs, prepare
from services.controller.loop.lock_step import in_lock_step
from services.controller.loop.steps import Steps
from services.controller.loop.works import Lines
from services.controller.ports import Durable, StepOutcome
from services.controller.store.runs import SHARED_ARM
from shared.database import insist
from shared.errors import MedqError, encode_error


def closed_loop(calls: Calls, configuration: RunConfiguration) -> None:
    """Evaluate, explore, evolve, until each arm stops.

    Raises:
        MedqError: A step failed; the message names it.
    """
    inputs, places = prepare(calls, configuration), count(1)
    arms = [_lines(calls, arm, own, inputs, places) for arm, own in configuration.each_arm()]
    in_lock_step(arms, is_limited=limits_of(configuration.stop) != Limits())


def _lines(calls: Calls, arm: ArmSection, own: RunConfiguration, inputs: Inputs, places: Iterator[int]) -> Lines[None]:
    """The lines of one arm, of which `own` is the configuration; they end by `ArmEnded`."""
    model = inputs.model
    earlier: tuple[str, ...] = ()
    annotated: tuple[str, ...] = ()
    for round_number in count():
        at = Steps(calls.at(arm.name, round_number), own, arm, inputs, model, places, earlier)
        evaluation = yield from at.evaluate_dev()
        yield from at.evaluate_tests()
        at.stop_if_done()
        failures = yield from at.mine_failures(evaluation)
        samples = yield from at.select_samples(failures)
        decisions = yield from at.annotate(samples, annotated)
        annotated = (*annotated, decisions)
        dataset = yield from at.build_dataset(decisions)
        model, earlier = (yield from at.train(dataset)), (*earlier, dataset)
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
