"""The algorithms of the evaluation service: pure functions, no input or output."""
