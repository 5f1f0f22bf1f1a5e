import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.domain.leakage import Guards, ImageRecord, Leak, LeakReason
from shared.errors import InvalidArgument
from tests.support.brute_force import brute_force_leaks

GUARD = ImageRecord("guard", "00000000000000ff", "patient", "session", "source")
FAR = "ffffffffffffff00"


def find_leaks(candidates, guards, **limits):
    return tuple(Guards(guards, **limits).leaks(candidates))


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (ImageRecord("guard", FAR, "", ""), LeakReason.SAME_IMAGE),
        (ImageRecord("x", FAR, "patient", "other"), LeakReason.SAME_PATIENT),
        (ImageRecord("x", FAR, "patient", "session"), LeakReason.SAME_SESSION),
        (ImageRecord("x", FAR, "", "", "source"), LeakReason.SAME_SOURCE),
        (ImageRecord("x", FAR, "patient", "", "source"), LeakReason.SAME_PATIENT),
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


def test_an_images_own_id_is_no_source_that_two_images_share():
    unknown = ImageRecord("x", FAR, "", "", "x")
    assert find_leaks([unknown], [ImageRecord("g", "00000000000000ff", "", "", "x")], phash_distance=4) == ()
    assert find_leaks([unknown], [ImageRecord("g", "00000000000000ff", "", "", "")], phash_distance=4) == ()


def test_sessions_named_alike_in_each_patient_are_not_shared():
    """BIDS names the first session of every patient ses-01."""
    guards = [ImageRecord(f"g{i}", f"{i:016x}", f"sub-{i:02}", "ses-01") for i in range(20)]
    pool = [ImageRecord(f"c{i}", FAR, f"sub-{i:02}", "ses-01") for i in range(15, 40)]
    found = find_leaks(pool, guards, phash_distance=4)
    assert [leak.image_id for leak in found] == [f"c{i}" for i in range(15, 20)]
    assert {leak.reason for leak in found} == {LeakReason.SAME_SESSION}


def test_a_session_of_an_unknown_patient_says_nothing():
    guards = [ImageRecord("g", "0" * 16, "", "ses-01"), ImageRecord("h", "0" * 16, "sub-01", "ses-01")]
    assert find_leaks([ImageRecord("x", FAR, "", "ses-01")], guards, phash_distance=4) == ()
    assert find_leaks([ImageRecord("x", FAR, "sub-02", "ses-01")], guards, phash_distance=4) == ()


def test_a_patient_named_like_a_session_is_no_match():
    assert find_leaks([ImageRecord("x", FAR, "session", "patient")], [GUARD], phash_distance=4) == ()


_NAMES = st.sampled_from(["", "one", "two"])
_STRUCTURES = st.integers(0, 15).map(lambda bits: f"{bits:02x}")


def _records(prefix: str) -> st.SearchStrategy[list[ImageRecord]]:
    """Few names and few hashes, so that all kinds of nearness meet; an image may be its own source."""

    def made(i: int, phash: int, patient: str, session: str, source: str, structure: str) -> ImageRecord:
        image_id = f"{prefix}{i}"
        return ImageRecord(image_id, f"{phash:016x}", patient, session, source or image_id, structure)

    row = st.builds(made, st.integers(0, 9), st.integers(0, 63), _NAMES, _NAMES, _NAMES, _STRUCTURES)
    return st.lists(row, max_size=12)


@given(
    _records("x"), st.one_of(_records("x"), _records("g")), st.integers(0, 2), st.sampled_from([0.0, 0.5, 0.75, 1.0])
)
def test_leaks_are_those_of_comparing_each_with_each_in_the_order_of_candidates(pool, guards, distance, similarity):
    found = find_leaks(pool, guards, phash_distance=distance, twin_similarity=similarity)
    assert found == brute_force_leaks(pool, guards, distance, similarity)


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


def test_an_image_without_a_structure_hash_cannot_be_checked_for_twins():
    with pytest.raises(InvalidArgument) as refused:
        find_leaks([ImageRecord("x", FAR, "", "")], [GUARD], phash_distance=4, twin_similarity=0.5)
    assert refused.value.field == "structure"


def test_guards_answer_for_pieces_as_for_the_whole():
    guards = [ImageRecord(f"g{i}", f"{i * 77:016x}", "", "", "", f"{i:08x}") for i in range(50)]
    pool = [ImageRecord(f"c{i}", f"{i * 5:016x}", "", "", "", f"{i * 3:08x}") for i in range(60)]
    held = Guards(guards, phash_distance=3, twin_similarity=0.9)
    pieces = [leak for start in range(0, 60, 7) for leak in held.leaks(pool[start : start + 7])]
    assert pieces == held.leaks(pool) != []
