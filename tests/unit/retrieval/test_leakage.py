import numpy as np
import pytest

from services.retrieval.domain.leakage import ImageRecord, Leak, LeakReason, find_leaks
from shared.errors import InvalidArgument

GUARD = ImageRecord("guard", "00000000000000ff", "patient", "session")
FAR = "ffffffffffffff00"


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (ImageRecord("guard", FAR, "", ""), LeakReason.SAME_IMAGE),
        (ImageRecord("x", FAR, "patient", "other"), LeakReason.SAME_PATIENT),
        (ImageRecord("x", FAR, "", "session"), LeakReason.SAME_SESSION),
        (ImageRecord("x", "00000000000000ff", "", ""), LeakReason.NEAR_DUPLICATE),
        (ImageRecord("x", "000000000000000f", "", ""), LeakReason.NEAR_DUPLICATE),
        (ImageRecord("guard", "00000000000000ff", "patient", "session"), LeakReason.SAME_IMAGE),
    ],
)
def test_each_kind_of_nearness_is_a_leak_with_its_reason(candidate, reason):
    assert find_leaks([candidate], [GUARD], phash_distance=4) == (Leak(candidate.image_id, reason, "guard"),)


def test_five_bits_apart_is_no_near_duplicate_at_distance_four():
    assert find_leaks([ImageRecord("x", "0000000000000007", "", "")], [GUARD], phash_distance=4) == ()


def test_unknown_patients_and_sessions_are_not_shared():
    unknown = ImageRecord("g", "00000000000000ff", "", "")
    assert find_leaks([ImageRecord("x", FAR, "", "")], [unknown], phash_distance=4) == ()


def test_a_patient_named_like_a_session_is_no_match():
    assert find_leaks([ImageRecord("x", FAR, "session", "patient")], [GUARD], phash_distance=4) == ()


def test_leaks_are_those_of_comparing_each_with_each_in_the_order_of_candidates():
    rng = np.random.default_rng(0)

    def records(prefix: str, n: int) -> list[ImageRecord]:
        return [
            ImageRecord(
                f"{prefix}{i}", f"{rng.integers(2**9) << 20:016x}", rng.choice(["", f"p{rng.integers(90)}"]), ""
            )
            for i in range(n)
        ]

    candidates, guards = records("c", 120), records("g", 15)
    expected = []
    for c in candidates:
        patient = [g for g in guards if c.patient and c.patient == g.patient]
        near = [((int(c.phash, 16) ^ int(g.phash, 16)).bit_count(), i) for i, g in enumerate(guards)]
        if patient:
            expected.append(Leak(c.image_id, LeakReason.SAME_PATIENT, patient[0].image_id))
        elif min(near)[0] <= 1:
            expected.append(Leak(c.image_id, LeakReason.NEAR_DUPLICATE, guards[min(near)[1]].image_id))
    assert 10 < len(expected) < 110
    assert find_leaks(candidates, guards, phash_distance=1) == tuple(expected)


def test_many_blank_images_are_all_found():
    blank = [ImageRecord(f"c{i}", "0" * 16, "", "") for i in range(5000)]
    assert (
        len(find_leaks(blank, [ImageRecord(f"g{i}", "0" * 16, "", "") for i in range(5000)], phash_distance=4)) == 5000
    )


def test_nothing_guarded_leaks_nothing():
    assert find_leaks([GUARD], [], phash_distance=4) == ()
    assert find_leaks([], [GUARD], phash_distance=4) == ()


def test_a_malformed_hash_is_refused():
    with pytest.raises(InvalidArgument):
        find_leaks([ImageRecord("x", "", "", "")], [GUARD], phash_distance=4)
