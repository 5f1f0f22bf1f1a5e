"""Training of released sizes on a GPU: memory beside its estimate, samples a second, share of the GPU's peak, and a resumed run.

    python -m benchmarks.training_gpu --memory                                             (needs no GPU)
    python -m benchmarks.training_gpu [--model "InternVL3 1B"] [--steps 20] [--peak 989e12]

The first writes the table of what each size needs, by the formula that the pre-flight check uses. The second needs a CUDA GPU.
It makes a checkpoint of that size with random weights and trains it by the service's program. It is stopped in the middle, goes
on, and its losses are compared with those of an undisturbed run. The share of the peak counts 6 operations a parameter and
token. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.outcome import end
from services.training.domain.memory import BatchSize, memory_needed
from services.training.job.memory import model_size
from studies.released_families import build_checkpoint
from studies.released_sizes import RELEASED

TOKENS, IMAGE_TOKENS, ANSWER_TOKENS = 1536, 1280, 128
"""Of a sample of the table: InternVL's four tiles with the small picture, a question and a description."""
_SHARDS = (1, 4, 8)
_SIDE, _BATCH, _GIB = 896, 1, 2**30
MAX_DIFFERENCE = 0.02


def memory_table() -> str:
    """A Markdown table: GiB of each GPU by model and number of GPUs that share it, one sample at a time."""
    lines = [
        f"| model | parameters | {' | '.join(f'GPUs: {n}' for n in _SHARDS)} | of it activations |",
        f"|{'---|' * (3 + len(_SHARDS))}",
    ]
    batch = BatchSize(1, TOKENS, 4 * IMAGE_TOKENS, ANSWER_TOKENS)
    nothing = BatchSize(0, 0, 0, 0)
    for name, (family, size) in RELEASED.items():
        with tempfile.TemporaryDirectory() as folder:
            build_checkpoint(family, Path(folder), size=size, has_weights=False)
            model = model_size(Path(folder))
        needed = [memory_needed(model, batch, is_gpu=True, n_shards=n).total for n in _SHARDS]
        fixed = memory_needed(model, nothing, is_gpu=False)
        activations = needed[0] - fixed.total - 2 * model.n_parameters
        cells = [f"{one / _GIB:.0f}" for one in (*needed, activations)]
        lines.append(f"| {name} | {model.n_parameters / 1e9:.2f} billion | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def measure(name: str, n_steps: int, peak: float) -> dict[str, Any]:
    """Train twice, once with a stop in the middle; needs a GPU."""
    from services.training.job.finetune import finetune
    from services.training.job.spec import TrainingSpec

    family, size = RELEASED[name]
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        build_checkpoint(family, folder / "base", size=size)
        _write_data(folder, n_steps)
        specs = [
            TrainingSpec(
                model_folder=folder / "base",
                train_file=folder / "train.jsonl",
                image_folder=folder,
                output_folder=folder / output,
                epochs=1,
                batch_size=_BATCH,
                max_length=8192,
                checkpoint_every=max(1, n_steps // 2),
            )
            for output in ("whole", "stopped")
        ]
        torch.cuda.reset_peak_memory_stats()
        finetune(specs[0])
        peak_bytes = torch.cuda.max_memory_allocated()
        measured = json.loads(specs[0].measured_file.read_text())
        steps = [json.loads(line) for line in specs[0].progress_file.read_text().splitlines()]
        report = json.loads((specs[0].result_folder / "training.json").read_text())
        _stop_in_the_middle(specs[1], n_steps // 2 + 1)
        finetune(specs[1])
        resumed = json.loads((specs[1].result_folder / "training.json").read_text())
    # The first half warms up.
    half = steps[n_steps // 2 :]
    seconds = (half[-1]["measured"]["seconds"] - half[0]["measured"]["seconds"]) / (len(half) - 1)
    tokens = report["longest_sample_tokens"] * _BATCH
    losses = np.array([[point["loss"] for point in one["loss_curve"]] for one in (report, resumed)])
    return {
        "model": name,
        "gpu": torch.cuda.get_device_name(),
        "peak_bytes": peak_bytes,
        "estimated_bytes": measured["estimated_bytes"],
        "tokens_of_a_sample": tokens // _BATCH,
        "samples_per_second": _BATCH / seconds,
        "share_of_peak": 6 * report["n_parameters"] * tokens / seconds / peak,
        "largest_difference": float(np.abs(losses[0] - losses[1]).max()),
    }


def _write_data(folder: Path, n_samples: int) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n_samples):
        Image.fromarray(rng.integers(0, 255, (_SIDE, _SIDE, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        turns = [
            {"from": "human", "value": "<image>\nDescribe the quality."},
            {"from": "gpt", "value": "It is good. " * 20},
        ]
        rows.append({"id": f"s{i}", "images": [f"{i}.png"], "conversations": turns})
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def _stop_in_the_middle(spec: Any, step: int) -> None:
    """Train up to a step behind a checkpoint, as if the process had been killed there."""
    from transformers import TrainerCallback

    from services.training.job.finetune import finetune

    class Stop(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == step:
                raise KeyboardInterrupt

    try:
        finetune(spec, [Stop()])
    except KeyboardInterrupt:
        torch.cuda.empty_cache()


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help="write the table of what each size needs, and leave")
    parser.add_argument("--model", choices=sorted(RELEASED), default="InternVL3 1B", help="which size")
    parser.add_argument("--steps", type=int, default=20, help="optimiser steps, at least 4")
    parser.add_argument(
        "--peak", type=float, default=989e12, help="bfloat16 operations a second of the GPU, dense (H100, H200)"
    )
    options = parser.parse_args()
    if options.memory:
        sys.stdout.write(memory_table())
        return
    if not torch.cuda.is_available():
        sys.exit("This benchmark needs a CUDA GPU, and PyTorch sees none: nothing was measured.")
    figures = measure(options.model, options.steps, options.peak)
    line = (
        f"{figures['model']} on {figures['gpu']}: {figures['samples_per_second']:.2f} samples/s of "
        f"{figures['tokens_of_a_sample']} tokens, {figures['share_of_peak']:.0%} of the peak, "
        f"{figures['peak_bytes'] / _GIB:.0f} GiB (estimate: {figures['estimated_bytes'] / _GIB:.0f}); "
        f"stopped and resumed: losses differ by {figures['largest_difference']:.4f}"
    )
    is_met = figures["largest_difference"] <= MAX_DIFFERENCE and figures["peak_bytes"] <= figures["estimated_bytes"]
    end(figures, line, is_met=is_met)


if __name__ == "__main__":
    main()
