"""How much memory training of all parameters needs, from the sizes of a model and of its longest samples alone."""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes of one parameter's weight, gradient and two moments of AdamW: all of them float32.
_WEIGHT, _GRADIENT, _MOMENTS = 4, 4, 8
#: Where a GPU computes in bfloat16: a copy of each weight; and what AdamW makes of all parameters at once while it steps.
_COPY, _STEP = 2, 4
#: Numbers that a layer keeps of a token for the backward pass, in widths of the layer (residuals, both norms, queries, keys and
#: values before and after rotation, what attention gives) and of its inner part (gate, its activation, values, product).
_WIDTHS, _INNER_WIDTHS = 18, 4
#: Copies of the scores of a token over the vocabulary, float32: as they are, their softmax, their gradient.
_SCORES = 3


@dataclass(frozen=True)
class Tower:
    """A stack of transformer layers.

    Attributes:
        n_layers: Layers.
        width: Numbers of a token between layers.
        inner: Numbers of a token inside a layer's perceptron.
    """

    n_layers: int
    width: int
    inner: int

    def kept(self, n_tokens: int) -> int:
        """Numbers that are kept for the backward pass. Attention is fused: nothing grows with the square of the tokens."""
        return n_tokens * self.n_layers * (_WIDTHS * self.width + _INNER_WIDTHS * self.inner)


@dataclass(frozen=True)
class ModelSize:
    """The sizes of a vision-language model that its memory depends on."""

    n_parameters: int
    text: Tower
    vision: Tower
    vocabulary: int


@dataclass(frozen=True)
class BatchSize:
    """The largest forward pass of a device.

    Attributes:
        n_samples: Samples.
        tokens: Of the longest sample, image tokens included.
        patches: That its image has in the vision tower.
        answer_tokens: Of the longest answer.
    """

    n_samples: int
    tokens: int
    patches: int
    answer_tokens: int


@dataclass(frozen=True)
class Memory:
    """Bytes of one device."""

    weights: int
    gradients: int
    optimiser: int
    working: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.optimiser + self.working


def memory_needed(model: ModelSize, batch: BatchSize, *, is_gpu: bool, n_shards: int = 1) -> Memory:
    """What a device needs at its fullest, without what the libraries themselves take.

    A parameter has 16 bytes: weight 4, gradient 4, two moments of AdamW 8. On a GPU come the weights in bfloat16, 2, or while
    AdamW steps, when there are no activations, 4. A token has 18 w + 4 m numbers in each layer of width w and inner width m,
    2 bytes each on a GPU, 4 on a CPU. An answer's token has 3 v scores of float32 for a vocabulary of v.

    Args:
        model: Its sizes.
        batch: The largest forward pass.
        is_gpu: It computes in bfloat16.
        n_shards: Devices that share weights, gradients and the optimiser's state (FSDP); each computes its own samples.

    Returns: An estimate, from above for models of the kinds that are tested (Qwen2.5-VL, InternVL).
    """
    share = -(-model.n_parameters // n_shards)
    numbers = batch.n_samples * (model.text.kept(batch.tokens) + model.vision.kept(batch.patches))
    scores = batch.n_samples * (batch.answer_tokens + 1) * model.vocabulary * _SCORES * 4
    activations = numbers * (2 if is_gpu else 4) + scores
    working = max(share * _COPY + activations, share * _STEP) if is_gpu else activations
    return Memory(share * _WEIGHT, share * _GRADIENT, share * _MOMENTS, working)
