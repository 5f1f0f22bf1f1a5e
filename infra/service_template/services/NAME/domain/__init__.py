"""The algorithms of the NAME service: pure functions, no input or output."""
