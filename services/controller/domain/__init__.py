"""The algorithms of the controller service: pure functions, no input or output."""
