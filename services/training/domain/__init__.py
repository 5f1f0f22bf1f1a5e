"""The algorithms of the training service: pure functions, no input or output."""
