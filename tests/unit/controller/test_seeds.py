import hashlib
from itertools import product

from services.controller.domain.seeds import derive_seed


def test_a_seed_is_the_head_of_the_digest_of_its_place():
    digest = hashlib.sha256(b"7/random/1/train").digest()
    assert derive_seed(7, "random", 1, "train") == int.from_bytes(digest[:4], "big") // 2


def test_places_have_different_seeds():
    places = list(product((0, 1), ("a", "b"), (0, 1, 11), ("x", "y")))
    assert len({derive_seed(*place) for place in places}) == len(places)
    assert all(0 <= derive_seed(*place) < 2**31 for place in places)
