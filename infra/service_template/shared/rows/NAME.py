"""Kind `NAME`: what the NAME service makes."""

from __future__ import annotations

from shared.rows.fields import Count, Row


class CLASSCount(Row):
    """The words of one text."""

    position: Count
    n_words: Count
