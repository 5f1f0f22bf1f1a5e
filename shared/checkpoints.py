"""What evaluation and training both need to know of a Hugging Face checkpoint folder.

It imports neither torch nor transformers, so that a command can check a folder before anything is spent.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from shared.errors import InvalidArgument
from shared.regular_files import open_regular, read_regular

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
WEIGHT_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model")
#: Everything that a checkpoint may consist of, beside the shards that an index names. Nothing of it is a program.
KNOWN_FILES = frozenset({
    *WEIGHT_FILES, *WEIGHT_INDEXES, *PROCESSOR_FILES, *TOKENIZER_FILES, "added_tokens.json", "chat_template.jinja",
    "chat_template.json", "config.json", "generation_config.json", "merges.txt", "normalizer.json",
    "sentencepiece.bpe.model", "sentencepiece.model", "special_tokens_map.json", "spiece.model", "spm.model",
    "tekken.json", "tiktoken.model", "tokenizer_config.json", "training.json", "video_preprocessor_config.json", "vocab.txt",
})  # fmt: skip
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.(safetensors|bin)")
_BLOB = re.compile("[0-9a-f]{40,64}")
_MOST_JSON_BYTES = 64 << 20
#: Largest weight file: 16 TiB.
MOST_WEIGHT_BYTES = 16 << 40


class ChatProcessor(Protocol):
    """The part of a Hugging Face processor that turns messages into text."""

    def apply_chat_template(
        self, conversation: list[dict[str, Any]], *, add_generation_prompt: bool, tokenize: bool
    ) -> str:
        """The text of a conversation, with the model's own image placeholder."""
        ...


def require_checkpoint(folder: Path) -> None:
    """Check that `folder` holds a complete image-text-to-text checkpoint, without loading it.

    Raises:
        InvalidArgument: the folder, its `config.json`, its weights (each shard that the index names), its tokenizer or
            its image processor is missing; the error names the folder, what is missing and the remedy.
    """
    checkpoint_files(folder)


def checkpoint_files(folder: Path) -> dict[str, Path]:
    """The files that make up a complete image-text-to-text checkpoint; whatever else lies in the folder is none of it.

    Args:
        folder: A Hugging Face checkpoint, or a snapshot in the Hugging Face cache, whose links lead to the `blobs` beside it.

    Returns: Name to place, links resolved.

    Raises:
        InvalidArgument: As `require_checkpoint`; or a file is a link that leaves the folder and the blobs of the same model, is
            no regular file, or is a description that is too large; or the index names what is no weight file. No text of it
            holds what a file holds.
    """
    folder = Path(os.path.realpath(folder))
    if not folder.is_dir():
        raise incomplete(folder, "there is no such folder", "give the folder of a Hugging Face checkpoint")
    files = {name: place_of(folder, name) for name in sorted(KNOWN_FILES) if os.path.lexists(folder / name)}
    if "config.json" not in files:
        raise incomplete(folder, "config.json is missing", "save the model with `model.save_pretrained(folder)`")
    read_json(folder, files, "config.json")
    files |= _shards(folder, files)
    save = "save the processor beside the model with `processor.save_pretrained(folder)`"
    for names, what in ((TOKENIZER_FILES, "the tokenizer"), (PROCESSOR_FILES, "the image processor")):
        if files.keys().isdisjoint(names):
            raise incomplete(folder, f"{what} is missing (one of {', '.join(names)})", save)
    return files


def user_prompt(processor: ChatProcessor, text: str) -> str:
    """The chat text of one image and one question, up to where the model's answer begins.

    Args:
        processor: Its chat template decides on the format.
        text: The question as asked, without an image placeholder.
    """
    content = [{"type": "image"}, {"type": "text", "text": text}]
    message = {"role": "user", "content": content}
    return processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)


def exchange(processor: ChatProcessor, question: str, answer: str) -> tuple[str, str]:
    """The chat text of a question, as `user_prompt`, and that of an answer to it, as the template ends it: with its end token.

    Raises:
        InvalidArgument: The template gives another prompt where an answer follows.
    """
    prompt = user_prompt(processor, question)
    conversation = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    whole = processor.apply_chat_template(conversation, add_generation_prompt=False, tokenize=False)
    if not whole.startswith(prompt):
        remedy = "Use a checkpoint whose template gives the same prompt with and without an answer."
        raise InvalidArgument("The chat template cannot be used with given answers.", field="model", remedy=remedy)
    return prompt, whole[len(prompt) :].rstrip()


def place_of(folder: Path, name: str) -> Path:
    """Where a file of a checkpoint lies: in the folder, or among the blobs of the same model in the Hugging Face cache."""
    place = Path(os.path.realpath(folder / name))
    is_inside = place.is_relative_to(folder) and not any(part[0] == "." for part in place.relative_to(folder).parts)
    is_snapshot = folder.parent.name == "snapshots" and place.parent == folder.parent.parent / "blobs"
    if not (is_inside or (is_snapshot and _BLOB.fullmatch(place.name))):
        remedy = "put a copy of what it leads to in its place"
        raise incomplete(folder, f"{name} is a link that leads out of the folder, or to a hidden file", remedy)
    try:
        open_regular(place, MOST_WEIGHT_BYTES).close()
    except InvalidArgument as error:
        what = f"{name} cannot be used: {error.message[:1].lower()}{error.message[1:].rstrip('.')}"
        raise incomplete(folder, what, "put a regular, readable file in its place") from None
    return place


def _shards(folder: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """The parts of the weights that an index names, where there is not one weight file."""
    copy = "copy the weights into the folder, or save them with `model.save_pretrained(folder)`"
    if not files.keys().isdisjoint(WEIGHT_FILES):
        return {}
    index = next((name for name in WEIGHT_INDEXES if name in files), "")
    if not index:
        raise incomplete(folder, f"the weights are missing (one of {', '.join(WEIGHT_FILES)})", copy)
    named = read_json(folder, files, index).get("weight_map")
    names = list(named.values()) if isinstance(named, dict) else []
    # What an index names is not quoted: it may be any file that somebody called so.
    if not names or not all(isinstance(name, str) and _SHARD.fullmatch(name) for name in names):
        raise incomplete(
            folder, f"{index} does not name the weight files beside it", "copy the file again from its source"
        )
    shards = sorted(set(names))
    absent = sum(not os.path.lexists(folder / name) for name in shards)
    if absent:
        what = f"{absent} of the {len(shards)} weight files named in {index} are missing"
        raise incomplete(folder, what, copy)
    return {name: place_of(folder, name) for name in shards}


def read_json(folder: Path, files: Mapping[str, Path], name: str) -> dict[str, Any]:
    """The object in a JSON file of the checkpoint."""
    try:
        content = json.loads(read_regular(files[name], _MOST_JSON_BYTES))
    except (ValueError, RecursionError):  # ValueError: not UTF-8, not JSON, or a number of too many digits
        content = None
    except InvalidArgument as error:
        what = f"{name} cannot be used: {error.message[:1].lower()}{error.message[1:].rstrip('.')}"
        raise incomplete(folder, what, error.remedy) from None
    if not isinstance(content, dict):
        raise incomplete(folder, f"{name} is not a JSON object", "copy the file again from its source")
    return cast("dict[str, Any]", content)


def incomplete(folder: Path, what: str, remedy: str) -> InvalidArgument:
    """The one error of this module."""
    return InvalidArgument(
        f"The checkpoint folder cannot be used: {what}", field="model", value=str(folder), remedy=remedy
    )
