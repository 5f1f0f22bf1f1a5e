"""The experiments of the paper in miniature: phantoms, degradations, a base model."""
