"""Which images become a development set: equal shares, one image a source first, and nothing of a patient on both sides."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.dev_sets import Candidate, draw, left_out


def image(number: int, modality: str = "ct", source: str = "", patient: str = "", session: str = "") -> Candidate:
    return Candidate(f"{number:064}", f"{number}.png", modality, source or f"s{number}", patient, session)


def test_modalities_share_alike_and_what_one_lacks_goes_to_the_others():
    pool = [image(n, "ct") for n in range(50)] + [image(100 + n, "mri") for n in range(50)] + [image(200, "fundus")]
    assert Counter(one.modality for one in draw(pool, 21, seed=0)) == {"ct": 10, "mri": 10, "fundus": 1}


def test_each_source_gives_one_image_before_any_gives_two():
    pool = [image(n, source=f"s{n % 5}") for n in range(50)]
    for n, most in ((5, 1), (7, 2), (10, 2)):
        counts = Counter(one.source_id for one in draw(pool, n, seed=1))
        assert len(counts) == 5
        assert max(counts.values()) == most


def test_a_patient_counts_as_one_source_over_all_sessions():
    pool = [image(n, source=f"s{n}", patient=f"p{n % 3}") for n in range(30)]
    assert {one.patient for one in draw(pool, 3, seed=2)} == {"p0", "p1", "p2"}


def test_the_seed_decides_and_the_order_does_not():
    pool = [image(n, "ct" if n % 2 else "mri", f"s{n % 7}") for n in range(60)]
    assert draw(pool, 20, seed=3) == draw(pool[::-1], 20, seed=3)
    assert draw(pool, 20, seed=3) != draw(pool, 20, seed=4)


@given(
    st.lists(st.tuples(st.sampled_from(["ct", "mri", "unknown"]), st.integers(0, 5)), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(0, 3),
)
def test_as_many_as_wanted_are_drawn_each_once_and_shares_differ_by_one_at_most(
    kinds: list[tuple[str, int]], n: int, seed: int
):
    pool = [image(number, modality, f"s{source}") for number, (modality, source) in enumerate(kinds)]
    drawn = draw(pool, n, seed)
    assert len(drawn) == len({one.image_id for one in drawn}) == min(n, len(pool))
    shares, sizes = Counter(one.modality for one in drawn), Counter(one.modality for one in pool)
    unfilled = [shares[name] for name in sizes if shares[name] < sizes[name]]
    assert all(share <= min(unfilled) + 1 for share in shares.values() for _ in unfilled[:1])


@pytest.mark.parametrize("mark", ["source", "patient", "session"])
def test_whatever_shares_a_mark_with_a_drawn_image_leaves_the_pool(mark: str):
    pool = [image(1, **{mark: "x"}), image(2, **{mark: "x"}), image(3)]
    assert left_out(pool, pool[:1]) == {pool[0].image_id, pool[1].image_id}


def test_an_unknown_patient_is_nobodys_patient():
    pool = [image(1), image(2)]
    assert left_out(pool, pool[:1]) == {pool[0].image_id}
