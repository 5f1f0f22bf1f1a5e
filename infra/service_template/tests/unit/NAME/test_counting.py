from services.NAME.domain.counting import n_words


def test_an_empty_text_has_no_words() -> None:
    assert n_words("") == 0


def test_white_space_parts_words() -> None:
    assert n_words(" two\n words ") == 2
