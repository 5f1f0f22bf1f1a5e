import pytest

from services.training.domain.memory import BatchSize, Memory, ModelSize, Tower, memory_needed

SMALL = ModelSize(n_parameters=1000, text=Tower(2, 8, 16), vision=Tower(1, 4, 8), vocabulary=100)
BATCH = BatchSize(n_samples=3, tokens=10, patches=20, answer_tokens=4)
NUMBERS = 3 * (10 * 2 * (18 * 8 + 4 * 16) + 20 * 1 * (18 * 4 + 4 * 8))
SCORES = 3 * 5 * 100 * 3 * 4


def test_a_processor_keeps_sixteen_bytes_a_parameter_and_float32_activations():
    assert memory_needed(SMALL, BATCH, is_gpu=False) == Memory(4000, 4000, 8000, 4 * NUMBERS + SCORES)


def test_a_gpu_keeps_bfloat16_copies_beside_bfloat16_activations():
    needed = memory_needed(SMALL, BATCH, is_gpu=True)
    assert needed.working == 2 * 1000 + 2 * NUMBERS + SCORES
    assert needed.total == 18_000 + 2 * NUMBERS + SCORES


def test_the_step_of_the_optimiser_decides_where_there_are_hardly_any_activations():
    model = ModelSize(10**6, SMALL.text, SMALL.vision, SMALL.vocabulary)
    assert memory_needed(model, BATCH, is_gpu=True).total == 20 * 10**6


@pytest.mark.parametrize("n_shards", [2, 3, 8])
def test_devices_share_all_but_activations(n_shards):
    one, shared = (memory_needed(SMALL, BATCH, is_gpu=False, n_shards=n) for n in (1, n_shards))
    assert shared.working == one.working
    assert shared.weights == 4 * -(-1000 // n_shards)
    assert shared.optimiser == 2 * shared.gradients == 2 * shared.weights
