import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.evaluation.adapters.model_server import InProcessModelServer
from services.evaluation.ports import Generation, Prompt, Sampling
from shared.errors import InvalidArgument
from shared.objects.folder import FolderObjectStore
from tests.support.evaluation import RuleModel, put_dataset, put_model

PROMPT = Prompt("item", 0, np.zeros((2, 2, 3), dtype=np.uint8), "Which?")


def go_on():
    """Nobody calls it off."""


@pytest.fixture
def objects(tmp_path):
    return FolderObjectStore(tmp_path / "objects", synced=False)


def test_a_model_is_loaded_once_and_swapped_when_another_is_asked_for(objects, tmp_path):
    loaded = []

    def load(folder):
        loaded.append(folder.name)
        return RuleModel(lambda prompt, sampling: folder.name)

    server = InProcessModelServer(objects, tmp_path / "cache", load)
    first, second = put_model(objects, "first"), put_model(objects, "second")
    texts = [server.generate(uri, [PROMPT], Sampling(0), go_on)[0].text for uri in (first, first, second, first)]
    assert [f"sha256:{text}" for text in texts] == [first, first, second, first]
    assert loaded == [texts[0], texts[2], texts[3]]


def test_two_models_answer_at_the_same_time_where_two_may_be_in_memory(objects, tmp_path):
    loaded, meeting = [], threading.Barrier(2)

    def load(folder):
        loaded.append(folder.name)
        return RuleModel(lambda prompt, sampling: f"{folder.name} {meeting.wait(20) < 2}")

    server = InProcessModelServer(objects, tmp_path / "cache", load, n_models=2)
    models = [put_model(objects, name) for name in ("first", "second")]
    for _ in range(2):
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(server.generate, uri, [PROMPT], Sampling(0), go_on) for uri in models]
            texts = [run.result()[0].text for run in runs]
        assert texts == [f"{uri.removeprefix('sha256:')} True" for uri in models]
    assert len(loaded) == 2


def test_the_model_that_was_used_longest_ago_makes_room(objects, tmp_path):
    loaded = []

    def load(folder):
        loaded.append(f"sha256:{folder.name}")
        return RuleModel(lambda prompt, sampling: "A")

    server = InProcessModelServer(objects, tmp_path / "cache", load, n_models=2)
    first, second, third = (put_model(objects, name) for name in ("first", "second", "third"))
    for uri in (first, second, first, third, first, second):
        server.generate(uri, [PROMPT], Sampling(0), go_on)
    assert loaded == [first, second, third, second]


def test_what_is_no_model_is_refused_and_the_loaded_one_stays(objects, tmp_path):
    loaded = []

    def load(folder):
        loaded.append(folder)
        return RuleModel(lambda prompt, sampling: "A")

    server = InProcessModelServer(objects, tmp_path / "cache", load)
    model = put_model(objects)
    server.generate(model, [PROMPT], Sampling(0), go_on)
    with pytest.raises(InvalidArgument):
        server.generate(put_dataset(objects, "benchmark", {"items.jsonl": []}), [PROMPT], Sampling(0), go_on)
    server.generate(model, [PROMPT], Sampling(0), go_on)
    assert len(loaded) == 1


def test_one_generation_runs_at_a_time(objects, tmp_path):
    class Counting:
        at_once, most = 0, 0
        meeting = threading.Barrier(2)

        def generate(self, prompts, sampling):
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            with pytest.raises(threading.BrokenBarrierError):
                self.meeting.wait(0.05)  # nobody else comes
            self.meeting.reset()
            self.at_once -= 1
            return [Generation("A", (), 0)]

    model = Counting()
    server = InProcessModelServer(objects, tmp_path / "cache", lambda folder: model)
    uri = put_model(objects)
    threads = [threading.Thread(target=server.generate, args=(uri, [PROMPT], Sampling(0), go_on)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model.most == 1
