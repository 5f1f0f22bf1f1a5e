"""The program that fine-tunes, `python -m services.training.job SPEC.json`, and what the service must know of it."""
