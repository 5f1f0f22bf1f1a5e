"""The six services of MedQ-Engine."""
