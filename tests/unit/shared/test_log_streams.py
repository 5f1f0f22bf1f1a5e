import io
import logging

from shared.logs import get_logger, logging_to


def test_a_stream_that_is_closed_after_its_block_is_not_written_to_any_more() -> None:
    stream = io.StringIO()
    with logging_to(stream):
        get_logger("test").info("inside")
        logging.getLogger("other").warning("heard")
    assert "inside" in stream.getvalue()
    stream.close()
    get_logger("test").info("outside")
    assert all(getattr(handler, "stream", None) is not stream for handler in logging.getLogger().handlers)
