"""The algorithms of the embedding service: pure functions, no input or output."""
