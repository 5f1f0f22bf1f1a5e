"""The algorithms of the retrieval service: pure functions, no input or output."""
