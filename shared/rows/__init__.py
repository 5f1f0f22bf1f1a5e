"""The contract of data: the rows of every dataset kind, described once.

Frozen structs with the type, unit and range of each field; `kinds` says which file of which kind holds them, who writes and who
reads. For other systems the same is in `schemas/` (JSON Schema) and `docs/datasets.md`, made from here by `python -m
infra.row_schemas`. Pure: knows neither files nor stores, so `domain/` may use it.
"""
