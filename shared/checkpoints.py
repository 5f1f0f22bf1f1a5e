"""What evaluation and training both need to know of a Hugging Face checkpoint folder.

It imports neither torch nor transformers, so that a command can check a folder before anything is spent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, cast

from shared.errors import InvalidArgument

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
WEIGHT_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model")


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
    if not folder.is_dir():
        raise _incomplete(folder, "there is no such folder", "give the folder of a Hugging Face checkpoint")
    config = folder / "config.json"
    if not config.is_file():
        raise _incomplete(folder, "config.json is missing", "save the model with `model.save_pretrained(folder)`")
    _require_json(folder, config)
    _require_weights(folder)
    save = "save the processor beside the model with `processor.save_pretrained(folder)`"
    for files, what in ((TOKENIZER_FILES, "the tokenizer"), (PROCESSOR_FILES, "the image processor")):
        if not any((folder / name).is_file() for name in files):
            raise _incomplete(folder, f"{what} is missing (one of {', '.join(files)})", save)


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


def _require_weights(folder: Path) -> None:
    """One weight file, or an index and each shard that it names."""
    copy = "copy the weights into the folder, or save them with `model.save_pretrained(folder)`"
    if any((folder / name).is_file() for name in WEIGHT_FILES):
        return
    indexes = [folder / name for name in WEIGHT_INDEXES if (folder / name).is_file()]
    if not indexes:
        raise _incomplete(folder, f"the weights are missing (one of {', '.join(WEIGHT_FILES)})", copy)
    shards = sorted(set(_require_json(folder, indexes[0]).get("weight_map", {}).values()))
    absent = [name for name in shards if not (folder / name).is_file()]
    if absent or not shards:
        raise _incomplete(folder, f"weight files named in {indexes[0].name} are missing: {absent[:3]}", copy)


def _require_json(folder: Path, path: Path) -> dict[str, Any]:
    """The object in a JSON file of the checkpoint."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        content = None
    if not isinstance(content, dict):
        raise _incomplete(folder, f"{path.name} is not a JSON object", "copy the file again from its source")
    return cast("dict[str, Any]", content)


def _incomplete(folder: Path, what: str, remedy: str) -> InvalidArgument:
    """The one error of this module."""
    return InvalidArgument(
        f"The checkpoint folder cannot be used: {what}", field="model", value=str(folder), remedy=remedy
    )
