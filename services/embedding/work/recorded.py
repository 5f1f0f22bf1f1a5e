"""What is recorded of the entries of a source, a few hundred at a time."""

from __future__ import annotations

from collections.abc import Iterator

from services.embedding.ports import Entry, Listing
from services.embedding.store.images import Store
from services.embedding.store.tables import InputRow
from shared.batches import in_batches
from shared.rows.images import entry_of
from shared.spill import Spill, Table

_AT_ONCE = 500


def recorded(store: Store, operation_id: str, listing: Listing) -> Iterator[tuple[Entry, list[InputRow]]]:
    """Entries in their order, and what is recorded of each: a row, or one for each image of its file, or none.

    Of files of several images it is what was recorded when the iteration began.
    """
    with Spill() as spill:
        parts = spill.table("parts", str)
        for name in store.inputs.part_names(operation_id):
            parts.add(name)
        has_parts = len(parts) > 0
        for entries in in_batches(listing, _AT_ONCE):
            names = [[entry.name, *(_parts_of(entry.name, parts) if has_parts else ())] for entry in entries]
            found = store.inputs.of(operation_id, [name for several in names for name in several])
            for entry, several in zip(entries, names, strict=True):
                yield entry, [found[name] for name in several if name in found]


def _parts_of(name: str, parts: Table[str]) -> list[str]:
    """The recorded names of the images of a file, in their order."""
    found = [part for part, _ in parts.items(f"{name}#", f"{name}$")]  # the sign behind "#" is "$"
    return sorted((part for part in found if entry_of(part) == name), key=lambda part: (len(part), part))
