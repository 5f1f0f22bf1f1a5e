"""What the configuration allows, the services do: or a run would end long after it was checked."""

import math
from contextlib import suppress
from itertools import count
from types import SimpleNamespace

import pytest
from annotated_types import Ge, Gt, Le, Lt

from services.controller.configuration.models import RunConfiguration
from services.controller.configuration.section import Section
from services.controller.loop.inputs import Inputs
from services.controller.loop.steps import Steps
from services.evaluation.service import Evaluation
from services.oracle.service import Oracle
from services.retrieval.service import Retrieval
from services.training.service import Training
from shared.paths import ANYWHERE

URI = "sha256:" + "0" * 64
DATA = {"pool": "p", "pool_answers": "p.tsv", "dev": "d.tsv", "test": "t.tsv", "replay": "r.tsv"}


class Noting:
    """Operations that note requests and begin nothing."""

    def start(self, request):
        request.SerializeToString()
        return request.operation_id


class Asking:
    """Calls that go straight to the servicers; each step makes a dataset with a row in every file."""

    run_id, arm, round = "r", "a", 1
    collaborators = SimpleNamespace(store=SimpleNamespace(results=lambda run_id: []))

    def __init__(self):
        self.servicers = {
            "evaluation": Evaluation(Noting(), ANYWHERE),
            "oracle": Oracle(Noting(), None),
            "retrieval": Retrieval(None, None, Noting()),
            "training": Training(Noting(), ANYWHERE),
        }

    def do(self, lines):
        works = next(lines)
        with suppress(StopIteration):
            while True:
                works = lines.send([self.made_by(work) for work in works])

    def made_by(self, work):
        method = type(work.request).__name__.removesuffix("Request")
        getattr(self.servicers[work.start.service], method)(work.request, None)
        return SimpleNamespace(uri=URI, rows=_AnyFile())


class _AnyFile(dict):
    def get(self, key, default=None):
        return 1


def extremes():
    """(section, key, value) of the least and the largest value of each number in the file."""
    for section, field in RunConfiguration.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            continue
        for key, own in field.annotation.model_fields.items():
            is_whole = own.annotation is int
            for limit in own.metadata:
                if isinstance(limit, Ge):
                    yield section, key, limit.ge
                elif isinstance(limit, Le):
                    yield section, key, limit.le
                elif isinstance(limit, Gt):
                    yield section, key, limit.gt + 1 if is_whole else math.nextafter(limit.gt, math.inf)
                elif isinstance(limit, Lt):
                    yield section, key, limit.lt - 1 if is_whole else math.nextafter(limit.lt, -math.inf)


@pytest.mark.parametrize(("section", "key", "value"), list(extremes()))
def test_a_service_accepts_what_the_configuration_allows(section, key, value):
    changed = {key: value} | ({"runs": 1} if key == "temperature" else {})
    whole = {"name": "n", "data": DATA, "model": "m", "annotate": {"oracle": "simulated", "expert": "simulated"}}
    configuration = RunConfiguration.model_validate({**whole, section: {**whole.get(section, {}), **changed}})
    own = {"test_images": (URI,), "tests": {"evaluate_test": URI, "evaluate_further.b": URI}}
    inputs = Inputs(**dict.fromkeys(Inputs.__dataclass_fields__, URI) | own)
    asking = Asking()
    steps = Steps(asking, configuration, configuration.arms[0], inputs, URI, count(1))
    asking.do(steps.evaluate_dev())
    asking.do(steps.evaluate_tests())
    asking.do(steps.mine_failures(URI))
    asking.do(steps.select_samples(URI))
    asking.do(steps.annotate(URI))
    asking.do(steps.build_dataset(URI))
    asking.do(steps.train(URI))


def test_every_whole_number_has_a_largest_value():
    """A field of a request holds 32 bits."""
    for field in RunConfiguration.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for key, own in field.annotation.model_fields.items():
                if own.annotation is int:
                    assert any(isinstance(limit, Le | Lt) for limit in own.metadata), key
