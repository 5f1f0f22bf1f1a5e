import json
import math
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from services.evaluation.adapters.token_writers import keep_nucleus
from services.evaluation.adapters.transformers_model import TransformersModel, plan_batches
from services.evaluation.ports import Generation, Prompt, Sampling
from shared.checkpoints import exchange, user_prompt
from shared.errors import InvalidArgument
from studies.tiny_model import build_tiny_checkpoint

N_ITEMS, N_RUNS = 6, 3
SAMPLING = Sampling(seed=5, max_new_tokens=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("checkpoint")
    build_tiny_checkpoint(path, ["Is this image blurred?\nA. Yes\nB. No"], seed=1, image_size=32)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> TransformersModel:
    return TransformersModel(folder, "cpu", batch_size=16)


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (N_ITEMS, 32, 32, 3), dtype=np.uint8)
    return [
        Prompt(f"item-{i}", run, images[i], "Is this image blurred?" + " Yes" * i)
        for i in range(N_ITEMS)
        for run in range(N_RUNS)
    ]


@pytest.fixture(scope="module")
def answers(model: TransformersModel, prompts: list[Prompt]) -> list[Generation]:
    return model.generate(prompts, SAMPLING)


def test_answers_do_not_depend_on_the_batch(folder: Path, prompts: list[Prompt], answers: list[Generation]) -> None:
    alone = TransformersModel(folder, "cpu", batch_size=1).generate(prompts, SAMPLING)
    assert [answer.text for answer in alone] == [answer.text for answer in answers]
    for one, other in zip(alone, answers, strict=True):
        assert one.token_logprobs == pytest.approx(other.token_logprobs, abs=1e-4)


def test_answers_do_not_depend_on_the_order(
    model: TransformersModel, prompts: list[Prompt], answers: list[Generation]
) -> None:
    order = list(range(len(prompts)))
    random.Random(3).shuffle(order)
    shuffled = model.generate([prompts[i] for i in order[:11]], SAMPLING)
    assert [answer.text for answer in shuffled] == [answers[i].text for i in order[:11]]


def test_runs_differ_and_greedy_runs_do_not(
    model: TransformersModel, prompts: list[Prompt], answers: list[Generation]
) -> None:
    assert len({answer.text for answer in answers[:N_RUNS]}) > 1
    greedy = model.generate(prompts[:N_RUNS], Sampling(seed=5, temperature=0, max_new_tokens=4))
    assert len(set(greedy)) == 1


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_logprobs_are_those_of_the_unmodified_model(
    model: TransformersModel, folder: Path, prompts: list[Prompt], temperature: float
) -> None:
    prompt = prompts[N_RUNS]
    answer = model.generate([prompt], Sampling(5, temperature, 0.9, 4))[0]
    reference = AutoModelForImageTextToText.from_pretrained(folder).eval().requires_grad_(False)
    processor = AutoProcessor.from_pretrained(folder)
    inputs = processor(text=[user_prompt(processor, prompt.text)], images=[[prompt.image]], return_tensors="pt")
    tokens: list[int] = []
    for logprob in answer.token_logprobs:
        logits = reference(**inputs).logits[0, -1].log_softmax(-1)
        token = int((logits - logprob).abs().argmin())
        assert float(logits[token]) == pytest.approx(logprob, abs=1e-4)
        if temperature == 0:
            assert token == int(logits.argmax())
        tokens.append(token)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[token]])], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    assert answer.n_tokens == len(tokens)
    assert answer.text == processor.tokenizer.decode(tokens, skip_special_tokens=True).strip()


def test_tokens_end_where_their_text_does(answers: list[Generation]) -> None:
    for answer in answers:
        assert len(answer.token_ends) == answer.n_tokens
        assert list(answer.token_ends) == sorted(answer.token_ends)
        assert answer.token_ends[-1] == len(answer.text)


def test_end_token_ends_the_answer_and_counts(folder: Path, prompts: list[Prompt], tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    every_token = list(range(len(AutoProcessor.from_pretrained(folder).tokenizer)))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": every_token}))
    answer = TransformersModel(tmp_path, "cpu").generate(prompts[:1], SAMPLING)[0]
    assert answer.n_tokens == len(answer.token_logprobs) == 1
    assert answer.token_ends == (len(answer.text),)


def test_no_prompts_give_no_answers(model: TransformersModel) -> None:
    assert model.generate([], SAMPLING) == []


def test_incomplete_folder_is_refused_before_loading(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.json is missing"):
        TransformersModel(tmp_path)


@pytest.mark.parametrize("sampling", [Sampling(0, -1.0), Sampling(0, 1.0, 0.0), Sampling(0, max_new_tokens=0)])
def test_sampling_out_of_range_is_invalid(model: TransformersModel, sampling: Sampling) -> None:
    with pytest.raises(InvalidArgument):
        model.generate([], sampling)


def test_nucleus_is_the_smallest_set_that_reaches_top_p() -> None:
    logits = torch.tensor([[math.log(0.2), math.log(0.5), math.log(0.3)]])
    assert torch.isfinite(keep_nucleus(logits, 0.5)).tolist() == [[False, True, False]]
    assert torch.isfinite(keep_nucleus(logits, 0.6)).tolist() == [[False, True, True]]
    assert keep_nucleus(logits, 1.0) is logits


def test_plan_holds_each_prompt_once_in_groups_of_equal_size(prompts: list[Prompt]) -> None:
    chosen = [*prompts, Prompt("other", 0, prompts[0].image, "another question")]
    batches = plan_batches(chosen, batch_size=7)
    flat = [i for batch in batches for group in batch for i in group]
    assert sorted(flat) == list(range(len(chosen)))
    for batch in batches:
        assert len({len(group) for group in batch}) == 1
        assert sum(len(group) for group in batch) <= 7
        assert all(len({chosen[i].text for i in group}) == 1 for group in batch)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", lambda data: data[: len(data) // 2]),
        ("model.safetensors", lambda data: b""),
        ("config.json", lambda data: b"{}"),
        ("config.json", lambda data: b'{"model_type": "gpt2"}'),
        ("config.json", lambda data: b'{"model_type": "no-such-model"}'),
        ("tokenizer.json", lambda data: b"{"),
        ("processor_config.json", lambda data: b"{}"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name(
    folder: Path, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    shutil.copytree(folder, tmp_path / "damaged")
    path = tmp_path / "damaged" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InvalidArgument) as refused:
        TransformersModel(tmp_path / "damaged", "cpu")
    assert (refused.value.field, refused.value.remedy != "") == ("model", True)


CANDIDATES = ("Yes", "No", "No Yes")


def _asked(prompts: list[Prompt]) -> list[Prompt]:
    return [replace(prompt, candidates=CANDIDATES) for prompt in prompts]


def test_candidates_have_the_probability_that_a_plain_pass_gives(
    model: TransformersModel, folder: Path, prompts: list[Prompt]
) -> None:
    processor = AutoProcessor.from_pretrained(folder)
    plain = AutoModelForImageTextToText.from_pretrained(folder).eval()
    greedy = Sampling(seed=5, temperature=0)
    for prompt in _asked(prompts)[:: 2 * N_RUNS]:
        sums = []
        for candidate in CANDIDATES:
            before, after = exchange(processor, prompt.text, candidate)
            tokens = processor.tokenizer(after, add_special_tokens=False, return_tensors="pt")["input_ids"]
            inputs = processor(text=[before], images=[[prompt.image]], return_tensors="pt")
            ids = torch.cat([inputs["input_ids"], tokens], dim=1)
            with torch.inference_mode():
                logits = plain(input_ids=ids, pixel_values=inputs["pixel_values"]).logits[0, -tokens.shape[1] - 1 : -1]
            logprobs = logits.log_softmax(dim=-1).gather(1, tokens.T)[:, 0]
            sums.append(float(logprobs.sum()))
            only = model.generate([replace(prompt, candidates=(candidate,))], greedy)[0]
            assert only.token_logprobs == pytest.approx(logprobs.tolist(), abs=1e-4)
        chosen = model.generate([prompt], greedy)[0]
        assert chosen.text == CANDIDATES[int(np.argmax(sums))]
        assert sum(chosen.token_logprobs) == pytest.approx(max(sums), abs=1e-4)


def test_the_choice_among_candidates_does_not_depend_on_the_batch(folder: Path, prompts: list[Prompt]) -> None:
    asked = _asked(prompts)
    warm = Sampling(seed=5, temperature=20.0)
    one, many = (TransformersModel(folder, "cpu", batch_size=size).generate(asked, warm) for size in (2, 64))
    assert [answer.text for answer in one] == [answer.text for answer in many]
    assert {answer.text for answer in one} <= set(CANDIDATES)
    assert len({answer.text for answer in one}) > 1


def test_the_end_token_of_a_candidate_is_behind_its_text(model: TransformersModel, prompts: list[Prompt]) -> None:
    answer = model.generate(_asked(prompts)[:1], SAMPLING)[0]
    assert answer.n_tokens == len(answer.token_logprobs) == len(answer.token_ends)
    assert answer.token_ends[-1] == answer.token_ends[-2] == len(answer.text)


def test_a_long_reply_is_not_spelled_token_by_token(model: TransformersModel, prompts: list[Prompt]) -> None:
    (reply,) = model.generate([replace(prompts[0], candidates=("Yes No " * 150,))], SAMPLING)
    assert reply.n_tokens > 256
    assert reply.token_ends == ()


class _Program:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_run(folder: Path, tmp_path: Path) -> None:
    for name in ("pickle", "code"):
        shutil.copytree(folder, tmp_path / name)
    (tmp_path / "pickle" / "model.safetensors").unlink()
    torch.save({"weight": _Program(tmp_path / "was run")}, tmp_path / "pickle" / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "custom", "auto_map": {"AutoConfig": "program.Config", "AutoModel": "program.Model"}}
    (tmp_path / "code" / "config.json").write_text(json.dumps(config))
    (tmp_path / "code" / "program.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')")
    for name in ("pickle", "code"):
        with pytest.raises(InvalidArgument, match="cannot be loaded"):
            TransformersModel(tmp_path / name, "cpu")
    assert not (tmp_path / "was run").exists()
