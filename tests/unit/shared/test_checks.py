import math

import pytest

from shared.errors import Cancelled, InvalidArgument
from shared.rpc.checks import (
    MOST_NAMED,
    read_page_token,
    require_between,
    require_caller,
    require_text,
    require_uri,
    require_uris,
)


def test_a_digest_uri_passes():
    require_uri("model_uri", "sha256:" + "0" * 64)


@pytest.mark.parametrize("uri", ["", "sha256:xyz", "file:///x", "0" * 64])
def test_another_uri_names_the_field(uri):
    with pytest.raises(InvalidArgument) as caught:
        require_uri("model_uri", uri)
    assert caught.value.field == "model_uri"
    assert caught.value.remedy


def test_the_ends_of_a_range_belong_to_it():
    require_between("share", 0, 0, 1)
    require_between("share", 1, 0, 1)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_a_number_out_of_range_is_invalid(value):
    with pytest.raises(InvalidArgument, match=r"0\.\.1"):
        require_between("share", value, 0, 1)


def test_an_empty_text_is_invalid():
    with pytest.raises(InvalidArgument):
        require_text("arm", "")


def test_a_page_token_is_a_number_that_a_database_holds():
    assert [read_page_token(token) for token in ("", "0", "9" * 18)] == [None, 0, 10**18 - 1]


@pytest.mark.parametrize("token", ["x", "-1", "²", "٣", "9" * 30, "1\n"])
def test_another_page_token_is_invalid(token):
    with pytest.raises(InvalidArgument):
        read_page_token(token)


def test_a_list_names_each_dataset_once_and_not_too_many():
    uris = [f"sha256:{n:064x}" for n in range(MOST_NAMED + 1)]
    require_uris("guard_uris", uris[:-1])
    require_uris("guard_uris", [])
    for wrong in (uris, [uris[0], uris[0]], ["x"]):
        with pytest.raises(InvalidArgument) as caught:
            require_uris("guard_uris", wrong)
        assert caught.value.field == "guard_uris"
    with pytest.raises(InvalidArgument, match="At least one"):
        require_uris("pool_uris", [], least=1)


class _Call:
    def __init__(self, is_active):
        self.is_active = lambda: is_active


def test_work_ends_when_nobody_waits_for_it():
    require_caller(_Call(True))
    with pytest.raises(Cancelled):
        require_caller(_Call(False))
