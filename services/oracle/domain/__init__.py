"""The algorithms of the oracle service: pure functions, no input or output."""
