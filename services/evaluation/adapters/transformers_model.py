"""`VisionLanguageModel` on transformers, in this process: any image-text-to-text checkpoint folder.

Answers are drawn by the Gumbel-max rule with noise keyed by (seed, item, run, token position), so neither the
batch nor a restart changes an answer. Only a near tie may fall the other way: another batch shape rounds its sums
in another way.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig, LogitsProcessorList

from services.evaluation.adapters.token_writers import ForcedAnswers, KeyedSampler
from services.evaluation.domain.answer_tokens import token_ends
from services.evaluation.domain.likelihood import likeliest
from services.evaluation.domain.sampling import keyed_gumbel
from services.evaluation.ports import Generation, Prompt, Sampling
from shared.checkpoints import exchange, require_checkpoint, user_prompt
from shared.errors import InvalidArgument

Device = Literal["auto", "cpu", "cuda"]
#: Tokens of the longest reply whose tokens are placed in its text.
_MOST_SPELLED = 256


class TransformersModel:
    """A checkpoint folder that answers.

    Args:
        folder: A Hugging Face checkpoint: config, weights, tokenizer, processor. Nothing is downloaded, and
            code in the folder is never run.
        device: "auto" takes a GPU where there is one.
        batch_size: Prompts answered at a time, at least 1.

    Raises:
        InvalidArgument: the folder is incomplete, damaged or of another kind of model, the batch size is below 1, or
            a GPU was asked for and there is none.
    """

    def __init__(self, folder: Path, device: Device = "auto", batch_size: int = 64) -> None:
        require_checkpoint(folder)
        if batch_size < 1:
            raise InvalidArgument("The batch size is below 1.", field="batch_size", value=batch_size)
        self._device = _resolve(device)
        self._batch_size = batch_size
        precision = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        self._processor, self._model = _load(folder, precision)
        self._processor.tokenizer.padding_side = "left"
        self._model.to(self._device).eval()
        self._end_tokens = _end_tokens(self._model, self._processor)
        # The checkpoint's own sampling habits (a repetition penalty, for one) would change the distribution.
        self._model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=sorted(self._end_tokens), pad_token_id=self._padding_token()
        )

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Answer each prompt, in order; the runs of one question share its prefill.

        Raises:
            InvalidArgument: a sampling setting is out of range.
        """
        _check(sampling)
        if any(prompt.candidates for prompt in prompts):
            return self._choose(prompts, sampling)
        answers: dict[int, Generation] = {}
        for groups in plan_batches(prompts, self._batch_size):
            batch = [[prompts[i] for i in group] for group in groups]
            sampler = KeyedSampler([(prompt.item_id, prompt.run) for prompt in chain.from_iterable(batch)], sampling)
            made = [self._generation(*row) for row in self._write(batch, sampler, sampling.max_new_tokens)]
            answers.update(zip(chain.from_iterable(groups), made, strict=True))
        return [answers[i] for i in range(len(prompts))]

    def _choose(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """One of the candidates for each prompt; the runs of one question share the log-probabilities."""
        rows = [replace(one, run=k) for one in _distinct(prompts) for k in range(len(one.candidates))]
        written = [self._tokens_of(row.text, row.candidates[row.run]) for row in rows]
        whole: dict[tuple[Hashable, int], Generation] = {}
        for groups in plan_batches(rows, self._batch_size):
            places = list(chain.from_iterable(groups))
            forced = ForcedAnswers([written[place] for place in places])
            made = self._write([[rows[i] for i in group] for group in groups], forced, forced.length)
            for place, (_, logprobs) in zip(places, made, strict=True):
                row, tokens = rows[place], written[place]
                whole[question_of(row), row.run] = self._generation(tokens, logprobs, row.candidates[row.run])
        return [_chosen(prompt, whole, sampling) for prompt in prompts]

    def _tokens_of(self, question: str, answer: str) -> list[int]:
        """The tokens of a given answer, with the end token."""
        _, text = exchange(self._processor, question, answer)
        return list(self._processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    @torch.inference_mode()
    def _write(
        self, groups: Sequence[Sequence[Prompt]], writer: KeyedSampler | ForcedAnswers, length: int
    ) -> list[tuple[list[int], list[float]]]:
        """One batch: groups of equal size, the prompts of a group have the same question. Tokens and log-probabilities by row."""
        inputs = self._processor(
            text=[user_prompt(self._processor, group[0].text) for group in groups],
            images=[[np.array(group[0].image)] for group in groups],
            return_tensors="pt",
            padding=True,
        ).to(self._device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        n_runs, n_asked = len(groups[0]), inputs["input_ids"].shape[1]
        cache = self._prefill(inputs, n_runs)
        sequences = self._model.generate(
            input_ids=inputs["input_ids"].repeat_interleave(n_runs, dim=0),
            attention_mask=inputs["attention_mask"].repeat_interleave(n_runs, dim=0),
            past_key_values=cache,
            max_new_tokens=length,
            logits_processor=LogitsProcessorList([writer]),
        )
        logprobs = torch.stack(writer.logprobs, dim=1).tolist()
        return list(zip(sequences[:, n_asked:].tolist(), logprobs, strict=True))

    def _prefill(self, inputs: Any, n_runs: int) -> Any:
        """Key-value cache of each prompt but its last token, repeated for each run."""
        # `generate` rather than a plain forward pass: it numbers the positions of padded rows.
        cache = self._model.generate(**inputs, max_new_tokens=1, return_dict_in_generate=True).past_key_values
        cache.crop(-1)
        cache.batch_repeat_interleave(n_runs)
        # Qwen-VL keeps the offset between text and image positions of each row on its inner model.
        inner = self._model.model
        if getattr(inner, "rope_deltas", None) is not None:
            inner.rope_deltas = inner.rope_deltas.repeat_interleave(n_runs, dim=0)
        return cache

    def _generation(self, tokens: list[int], logprobs: list[float], given: str | None = None) -> Generation:
        """Cut at the first end token, which counts; the text is the one that was given, or what the tokens spell."""
        ends = [i for i, token in enumerate(tokens) if token in self._end_tokens]
        n_tokens = ends[0] + 1 if ends else len(tokens)
        # Where each token ends costs a decoding of all before it: of a long reply it is left unknown.
        first = 1 if n_tokens <= _MOST_SPELLED else n_tokens
        prefixes = [self._text(tokens[:n]) for n in range(first, n_tokens + 1)]
        text = prefixes[-1].strip() if given is None else given
        if first > 1:
            return Generation(text, tuple(logprobs[:n_tokens]), n_tokens)
        return Generation(text, tuple(logprobs[:n_tokens]), n_tokens, token_ends(prefixes, text))

    def _text(self, tokens: list[int]) -> str:
        return str(self._processor.tokenizer.decode(tokens, skip_special_tokens=True))

    def _padding_token(self) -> int:
        """What fills a finished answer until the batch is done."""
        token = self._processor.tokenizer.pad_token_id
        return min(self._end_tokens) if token is None else int(token)


def question_of(prompt: Prompt) -> Hashable:
    """What prompts have in common that differ in item and run alone."""
    return prompt.text, prompt.image.shape, prompt.image.tobytes(), prompt.candidates


def _distinct(prompts: Sequence[Prompt]) -> list[Prompt]:
    """One prompt of each question."""
    return list({question_of(prompt): prompt for prompt in reversed(prompts)}.values())[::-1]


def _chosen(prompt: Prompt, whole: Mapping[tuple[Hashable, int], Generation], sampling: Sampling) -> Generation:
    candidates = [whole[question_of(prompt), k] for k in range(len(prompt.candidates))]
    noise = keyed_gumbel(sampling.seed, prompt.item_id, prompt.run, 0, len(candidates))
    return candidates[likeliest([sum(one.token_logprobs) for one in candidates], sampling.temperature, noise)]


def plan_batches(prompts: Sequence[Prompt], batch_size: int) -> list[list[list[int]]]:
    """Which prompts are answered together.

    Args:
        prompts: In any order.
        batch_size: Most prompts of a batch, at least 1.

    Returns: Batches of groups of indices into `prompts`. The prompts of a group have the same image and text;
        the groups of a batch have the same size and texts of like length. Each index occurs once.
    """
    same: dict[Hashable, list[int]] = {}
    for index, prompt in enumerate(prompts):
        same.setdefault(question_of(prompt), []).append(index)
    groups = [group[i : i + batch_size] for group in same.values() for i in range(0, len(group), batch_size)]
    by_size: dict[int, list[list[int]]] = {}
    for group in sorted(groups, key=lambda group: len(prompts[group[0]].text)):
        by_size.setdefault(len(group), []).append(group)
    batches = []
    for size, alike in sorted(by_size.items()):
        step = batch_size // size
        batches += [alike[i : i + step] for i in range(0, len(alike), step)]
    return batches


def _resolve(device: Device) -> torch.device:
    """The device to load onto."""
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        remedy = "Use `cpu` or `auto`."
        raise InvalidArgument("A GPU was asked for, torch sees none.", field="device", value=device, remedy=remedy)
    return torch.device("cuda" if has_gpu and device != "cpu" else "cpu")


def _load(folder: Path, precision: torch.dtype) -> tuple[Any, Any]:
    """The processor and the model of a checkpoint folder."""
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(folder, **local)
        return processor, AutoModelForImageTextToText.from_pretrained(folder, dtype=precision, **local)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # a damaged file may raise nearly anything in its reader
        raise InvalidArgument(
            f"The checkpoint cannot be loaded ({type(error).__name__}).",
            field="model",
            value=str(folder),
            remedy="Copy its files again from their source; it must be an image-text-to-text model.",
        ) from error


def _end_tokens(model: Any, processor: Any) -> set[int]:
    """Every token that ends an answer: the checkpoint's own and the tokenizer's."""
    declared = model.generation_config.eos_token_id
    tokens = declared if isinstance(declared, list) else [declared]
    return {int(token) for token in [*tokens, processor.tokenizer.eos_token_id] if token is not None}


def _check(sampling: Sampling) -> None:
    """Refuse settings that have no meaning."""
    ranges = {
        "temperature": sampling.temperature >= 0,
        "top_p": 0 < sampling.top_p <= 1,
        "max_new_tokens": sampling.max_new_tokens >= 1,
    }
    for name, is_valid in ranges.items():
        if not is_valid:
            raise InvalidArgument(
                "A sampling setting is out of range.",
                field=name,
                value=getattr(sampling, name),
                remedy="Choose temperature at least 0, top_p in (0, 1], max_new_tokens at least 1.",
            )
