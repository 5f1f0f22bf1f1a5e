"""The YAML file of a run: its models, and the checks before anything is spent."""
