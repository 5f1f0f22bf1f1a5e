"""Who owns a state folder, and that looking does not disturb."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from shared.errors import FailedPrecondition
from shared.rpc.ownership import is_owned, own

N_LOOKERS = 8


def test_a_folder_is_owned_while_its_owner_lives(tmp_path: Path) -> None:
    assert not is_owned(tmp_path)
    lock = own(tmp_path)
    assert is_owned(tmp_path)
    with pytest.raises(FailedPrecondition, match="owns"):
        own(tmp_path)
    lock.release()
    assert not is_owned(tmp_path)


def test_looking_at_the_same_instant_no_one_takes_another_looker_for_an_owner(tmp_path: Path) -> None:
    own(tmp_path).release()
    together = Barrier(N_LOOKERS)

    def look(_: int) -> bool:
        together.wait(30)
        return any(is_owned(tmp_path) for _ in range(200))

    with ThreadPoolExecutor(N_LOOKERS) as pool:
        assert not any(pool.map(look, range(N_LOOKERS)))
