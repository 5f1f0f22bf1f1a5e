"""Batched answers beside the loop a user would write: one prompt at a time through `generate`.

    python -m benchmarks.generation [--model FOLDER] [--items 100] [--runs 5] [--tokens 8]

Both draw with the same keyed noise, so their answers must agree but for near ties. One JSON object goes to standard
output: seconds of each, the ratio, the share of equal answers, and for each other answer how near the tie was. Without
`--model` the tiny random checkpoint is used: its flat distributions are the hardest case for ties.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, LogitsProcessorList

from benchmarks.outcome import end
from services.evaluation.adapters.token_writers import KeyedSampler
from services.evaluation.adapters.transformers_model import TransformersModel
from services.evaluation.ports import Prompt, Sampling
from shared.checkpoints import user_prompt
from shared.prompts import multiple_choice_prompt
from studies.tiny_model import build_tiny_checkpoint

MIN_RATIO, MIN_EQUAL_SHARE = 3.0, 0.995
NEAR_TIE = 1e-3
"""Two tokens whose perturbed scores lie this near (nats) may change places when sums round differently."""
OPTIONS = {"A": "noise", "B": "motion", "C": "blur", "D": "none of these"}


class MarginSampler(KeyedSampler):
    """Keyed sampling that also records how far the drawn token was ahead of the next."""

    def __init__(self, prompt: Prompt, sampling: Sampling) -> None:
        super().__init__([(prompt.item_id, prompt.run)], sampling)
        self.margins: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """As the parent."""
        perturbed = super().__call__(input_ids, scores)
        first, second = perturbed[0].topk(2).values.tolist()
        self.margins.append(first - second)
        return perturbed


def make_prompts(n_items: int, n_runs: int) -> list[Prompt]:
    """Random pictures, questions of several lengths, `n_runs` runs of each."""
    rng = np.random.default_rng(0)
    prompts = []
    for item in range(n_items):
        image = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
        text = multiple_choice_prompt("What degrades this image" + " here" * (item % 5) + "?", OPTIONS)
        prompts += [Prompt(f"item-{item:05d}", run, image, text) for run in range(n_runs)]
    return prompts


@torch.inference_mode()
def one_by_one(folder: Path, prompts: Sequence[Prompt], sampling: Sampling) -> list[tuple[str, float]]:
    """Answer each prompt alone: (text, smallest margin of its tokens)."""
    processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True).eval()
    answers = []
    for prompt in prompts:
        sampler = MarginSampler(prompt, sampling)
        text = user_prompt(processor, prompt.text)
        inputs = processor(text=[text], images=[[prompt.image]], return_tensors="pt")
        tokens = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=sampling.max_new_tokens,
            logits_processor=LogitsProcessorList([sampler]),
        )[0, inputs["input_ids"].shape[1] :]
        answer = processor.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        answers.append((answer, min(sampler.margins)))
    return answers


def measure(folder: Path, prompts: Sequence[Prompt], sampling: Sampling, batch_size: int) -> dict[str, Any]:
    """Both ways on the same prompts, each after a warm-up."""
    batched = TransformersModel(folder, "cpu", batch_size)
    batched.generate(prompts[:2], sampling)
    begun = time.perf_counter()
    ours = [answer.text for answer in batched.generate(prompts, sampling)]
    ours_seconds = time.perf_counter() - begun
    one_by_one(folder, prompts[:2], sampling)
    begun = time.perf_counter()
    theirs = one_by_one(folder, prompts, sampling)
    theirs_seconds = time.perf_counter() - begun
    margins = [margin for mine, (text, margin) in zip(ours, theirs, strict=True) if mine != text]
    return {
        "n_answers": len(prompts),
        "batched_seconds": ours_seconds,
        "one_by_one_seconds": theirs_seconds,
        "ratio": theirs_seconds / ours_seconds,
        "equal_share": 1 - len(margins) / len(prompts),
        "margins_of_differences_nats": margins,
        "every_difference_is_a_near_tie": all(margin < NEAR_TIE for margin in margins),
    }


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="checkpoint folder; default: a tiny random one")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=8, help="most tokens of an answer")
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prompts = make_prompts(arguments.items, arguments.runs)
    sampling = Sampling(seed=0, max_new_tokens=arguments.tokens)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or Path(temporary)
        if arguments.model is None:
            build_tiny_checkpoint(folder, [prompt.text for prompt in prompts], seed=0)
        report = measure(folder, prompts, sampling, arguments.batch_size)
    is_met = report["ratio"] >= MIN_RATIO and report["equal_share"] >= MIN_EQUAL_SHARE
    line = (
        f"{report['n_answers']} answers: batched {report['batched_seconds']:.1f} s, one by one "
        f"{report['one_by_one_seconds']:.1f} s, {report['ratio']:.1f} times as fast (wanted: {MIN_RATIO}); "
        f"{report['equal_share']:.2%} equal (wanted: {MIN_EQUAL_SHARE:.1%})"
    )
    end(report, line, is_met=is_met and report["every_difference_is_a_near_tie"])


if __name__ == "__main__":
    main()
