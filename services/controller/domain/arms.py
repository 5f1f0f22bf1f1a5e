"""What an arm of a run changes in the run's own settings."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
#: The sections that an arm may change. Data, model, encoder, evaluation, rounds and the stop rule are those of the run, so that
#: its arms compare.
CHANGEABLE = ("mine", "select", "annotate", "build", "train")


def settings_of(configuration: Json, arm: Json) -> Json:
    """The settings of an arm: those of its run, with what it changes in them.

    Args:
        configuration: Of the run, every section whole.
        arm: An element of its `arms`; each section in it holds the changed keys alone.
    """
    return {**configuration, **{name: _changed(configuration[name], arm.get(name, {})) for name in CHANGEABLE}}


def _changed(section: Json, changes: Json) -> Json:
    return {
        **section,
        **{
            key: _changed(section[key], value) if isinstance(value, dict) and key in section else value
            for key, value in changes.items()
        },
    }
