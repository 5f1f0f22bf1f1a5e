"""The entries of a source of images, listed to their end."""

from __future__ import annotations

from pathlib import Path

from services.embedding.adapters.sources import list_source
from services.embedding.ports import Entry
from shared.errors import InvalidArgument


def list_entries(source: Path) -> list[Entry]:
    """The entries of a source, as many as it says."""
    with list_source(source) as listing:
        entries = list(listing)
        assert len(listing) == len(entries)
    return entries


def contents(source: Path) -> list[bytes]:
    """What each entry of a source holds."""
    with list_source(source) as listing:
        return [listing.read(entry) for entry in listing]


def faults_of(source: Path) -> dict[str, str]:
    """Name to what is wrong with the entry; "" where nothing is."""
    return {entry.name: entry.fault for entry in list_entries(source)}


def faults(path: Path) -> list[tuple[str, str]]:
    """What is wrong with each entry of a source, and what to do; "" twice where nothing is."""
    return [(entry.fault, entry.remedy) if entry.fault else ("", "") for entry in list_entries(path)]


def outcomes(source: Path) -> dict[str, str]:
    """Name to why the entry cannot be read; "" where it can."""
    found = {}
    with list_source(source) as listing:
        for entry in listing:
            try:
                listing.read(entry)
                found[entry.name] = ""
            except InvalidArgument as error:
                found[entry.name] = error.message if error.remedy else "no remedy"
    return found
