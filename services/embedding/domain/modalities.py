"""Which modality an image is of, and who says so: the manifest, the file, the request, or else an encoder, which guesses.

The guess is by the cosine to prompts, as CLIP names what it was not trained to name (arXiv:2103.00020, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from services.embedding.domain.vectors import unit_rows
from shared.rows.fields import Modality
from shared.rows.images import HEADER, MANIFEST, REQUEST, ModalityFrom
from shared.rows.vocabulary import MODALITIES, UNKNOWN, modality_label, name_modality

LEAST_PROBABILITY = 0.9
"""A class of a smaller probability is not taken; so the second has at most a tenth."""

PROMPTS: dict[Modality, tuple[str, ...]] = {
    "mri": ("a magnetic resonance image", "an MRI scan", "a slice of an MRI of the body"),
    "ct": ("a computed tomography image", "a CT scan", "an axial CT slice"),
    "endoscopy": ("an endoscopy image", "a photograph taken through an endoscope", "a colonoscopy frame"),
    "fundus": ("a colour fundus photograph", "a retinal fundus image", "a photograph of the back of the eye"),
    "histopathology": ("a histopathology image", "a microscopy image of stained tissue", "an H&E stained slide"),
}
RIVALS: tuple[tuple[str, ...], ...] = (
    ("an X-ray image", "a chest radiograph", "a mammogram"),
    ("an ultrasound image", "an echocardiogram", "a sonogram"),
    ("an optical coherence tomography image", "an OCT B-scan of the retina", "a cross-section of the retina"),
    ("a PET image", "a scintigram", "a nuclear medicine image"),
    ("a photograph of skin", "a dermoscopy image", "a clinical photograph of a person"),
    ("a photograph of an everyday scene", "a drawing", "a chart or a page of text"),
)
"""What an image may show beside the modalities that the product knows: where one of these is nearer, nothing is guessed."""


def told_modality(manifest: str, header: str, request: str) -> tuple[Modality, ModalityFrom]:
    """The modality of an image, and who says it: the manifest goes before the file, the file before the request.

    Args:
        manifest: As people write it; "" where it says nothing.
        header: One of `MODALITIES`; "unknown" where the file names another one, "" where it names none.
        request: One of `MODALITIES`; "unknown" or "" where it says nothing.

    Returns: One of `MODALITIES` and who says it; or "unknown", with who names one that the product does not know, "" for nobody.
    """
    said: tuple[tuple[str, ModalityFrom], ...] = (
        (name_modality(manifest), MANIFEST), (header, HEADER), (request, REQUEST),
    )  # fmt: skip
    for modality, teller in said:
        if modality in MODALITIES:
            return modality, teller
    if modality_label(manifest) not in ("", UNKNOWN):
        return UNKNOWN, MANIFEST
    return UNKNOWN, HEADER if header == UNKNOWN else ""


def class_vectors(embed_texts: Callable[[Sequence[str]], NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean text vector of the prompts of each class, of unit norm.

    Args:
        embed_texts: n texts to (n, d) float32, rows of unit norm.

    Returns: (len(PROMPTS) + len(RIVALS), d) float32, the modalities first.
    """
    classes = (*PROMPTS.values(), *RIVALS)
    return unit_rows(np.stack([embed_texts(texts).mean(axis=0) for texts in classes]))


def guess_modalities(images: NDArray[np.float32], classes: NDArray[np.float32], logit_scale: float) -> list[Modality]:
    """The likeliest modality of each image: softmax over all classes of logit_scale times the cosine.

    Args:
        images: (n, d), rows of unit norm.
        classes: Of `class_vectors`.
        logit_scale: The checkpoint's, above 0.

    Returns: n modalities; "unknown" where the likeliest class has less than `LEAST_PROBABILITY`, or is one of `RIVALS`.
    """
    probabilities = softmax(logit_scale * (images.astype(np.float64) @ classes.T.astype(np.float64)), axis=1)
    names: list[Modality] = [*PROMPTS, *(UNKNOWN for _ in RIVALS)]
    likeliest = probabilities.argmax(axis=1)
    return [
        names[best] if row[best] >= LEAST_PROBABILITY else UNKNOWN
        for best, row in zip(likeliest, probabilities, strict=True)
    ]
