"""Images per second of an encoder in whole numbers (int8) beside the same encoder in float32, and how near their vectors are.

    python -m benchmarks.encoders

The checkpoint is generated: an image tower of the size of BiomedCLIP's (ViT-B/16, 224 x 224) with RANDOM weights, because no
weights come with the repository. The speed is that of such a tower. The cosine is that of random weights; what real weights give
is measured when their int8 tower is made (`python -m services.embedding.quantise`). Both are timed in turns, image by image, on
the processor, preprocessing included. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch

from benchmarks.outcome import end
from services.embedding.adapters.encoder_folders import read_encoder_folder
from services.embedding.adapters.encoders import SiteEncoders
from services.embedding.adapters.make_int8 import LEAST_IMAGES, make_int8
from services.embedding.ports import Encoder, Pixels

LEAST_RATIO = 1.2
_SIDE = 512


def save_random_encoder(folder: Path, tower: str) -> None:
    """A folder of open_clip: an image tower of random weights, by its name in timm, and a small text tower."""
    vision = {"timm_model_name": tower, "timm_pool": "", "timm_proj": "linear", "image_size": 224}
    text = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    model_cfg = {"embed_dim": 512, "vision_cfg": vision, "text_cfg": text}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model_cfg, "preprocess_cfg": {}}))
    torch.manual_seed(0)
    torch.save(open_clip.CLIP(**model_cfg).state_dict(), folder / "open_clip_pytorch_model.bin")


def pictures(n: int, seed: int) -> list[Pixels]:
    """Grey blobs with noise."""
    rng, (y, x) = np.random.default_rng(seed), np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    found = []
    for _ in range(n):
        cy, cx, width = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.3)
        blob = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / width**2) + 0.1 * rng.standard_normal((_SIDE, _SIDE))
        found.append(np.rint(255 * np.clip(blob, 0, 1)).astype(np.uint8)[:, :, None])
    return found


def seconds_each(encoders: Sequence[Encoder], images: Sequence[Pixels]) -> list[float]:
    """Seconds that each encoder takes for all images, in turns."""
    spent = [0.0] * len(encoders)
    for image in images:
        for place, encoder in enumerate(encoders):
            start = time.perf_counter()
            encoder.embed_images([image])
            spent[place] += time.perf_counter() - start
    return spent


def main() -> None:
    """Make the encoder, make it small, and time both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24, help="images that are timed")
    parser.add_argument("--tower", default="vit_base_patch16_224", help="name of the image tower in timm")
    asked = parser.parse_args()
    n_timed: int = asked.images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_random_encoder(folder, asked.tower)
        facts = make_int8(read_encoder_folder(folder), pictures(LEAST_IMAGES, seed=1))
        both = [SiteEncoders({"random": folder}, is_used, "cpu").get("random") for is_used in (False, True)]
        images = pictures(n_timed, seed=2)
        eager, small = seconds_each(both, images)
        cosines = np.sum(both[0].embed_images(images) * both[1].embed_images(images), axis=1)
    ratio, least = eager / small, float(cosines.min())
    figures = {
        "weights": f"random, {asked.tower}",
        "images_per_second": {"float32": n_timed / eager, "int8": n_timed / small},
        "ratio": ratio,
        "least_cosine": {"sample": facts["least_cosine"], "other images": least},
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    rates = f"int8 {n_timed / small:.1f} images/s, float32 {n_timed / eager:.1f}, so {ratio:.2f} times as many"
    line = f"{rates}; least cosine {least:.4f} (random weights)"
    end(figures, line, is_met=ratio >= LEAST_RATIO and least >= 0.99)


if __name__ == "__main__":
    main()
