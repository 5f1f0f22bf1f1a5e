"""A program: what the loader of LLaMA-Factory makes of an exported folder, as JSON on standard output.

`python llamafactory_loader.py PACKAGES FOLDER CHECKPOINT` with the real packages in the folder PACKAGES, which `make
.tools/llamafactory` installs, and a checkpoint of the InternVL architecture. It runs by itself: they have no place among ours.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile


def main(packages: str, folder: str, checkpoint: str) -> None:
    """Load and tokenize the set `medq` of a folder, all by LLaMA-Factory, and print what came of each sample."""
    # Their own switch: the version of transformers that they want is another one than ours.
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    sys.path.append(packages)  # behind our own: they find what they share with us there
    from llamafactory.data.loader import get_dataset
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams.data_args import DataArguments
    from llamafactory.hparams.model_args import ModelArguments
    from transformers import AutoProcessor, Seq2SeqTrainingArguments

    processor = AutoProcessor.from_pretrained(checkpoint)
    tokenizer = processor.tokenizer
    data = DataArguments(dataset="medq", dataset_dir=folder, template="intern_vl", cutoff_len=4096)
    with tempfile.TemporaryDirectory() as output:
        loaded = get_dataset(
            get_template_and_fix_tokenizer(tokenizer, data),
            ModelArguments(model_name_or_path=checkpoint),
            data,
            Seq2SeqTrainingArguments(output_dir=output, report_to=[]),
            stage="sft",
            tokenizer=tokenizer,
            processor=processor,
        )["train_dataset"]
    samples = [
        {
            "images": row["images"],
            "question": tokenizer.decode(row["input_ids"]),
            "answer": tokenizer.decode([token for token in row["labels"] if token >= 0]),
        }
        for row in loaded
    ]
    sys.stdout.write(json.dumps(samples) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
