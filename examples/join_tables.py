"""One table of several: MedQ-Bench keeps its questions and its descriptions apart, and a run reads one table a split.

    python examples/join_tables.py dev.tsv medqbench_QA_dev.tsv medqbench_description_dev.tsv

Tables are tab-separated with a header. The joined one has the columns of all. Each index gets the name of its table before it,
since every table counts its rows from 0. Relative image paths stay as they are: write the joined table where they still hold.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path


def join_tables(target: Path, sources: list[Path]) -> int:
    """Write the rows of the sources, in their order, to the target; returns their number.

    Raises:
        FileExistsError: The target is there already.
        ValueError: Two sources have one name, or a row does not fit its header.
    """
    if len({source.stem for source in sources}) < len(sources):
        raise ValueError("two tables have one name, so their indices could not be told apart")
    columns = list(dict.fromkeys(name for source in sources for name in _header(source)))
    n_rows = 0
    with target.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, delimiter="\t", lineterminator="\n", restval="")
        writer.writeheader()
        for source in sources:
            with source.open(newline="", encoding="utf-8-sig") as rows:
                for row in csv.DictReader(rows, delimiter="\t"):
                    if None in row or None in row.values():
                        raise ValueError(f"{source.name}: a row has another number of fields than the header")
                    writer.writerow({**row, "index": f"{source.stem}/{row['index']}"})
                    n_rows += 1
    return n_rows


def _header(source: Path) -> list[str]:
    with source.open(newline="", encoding="utf-8-sig") as stream:
        return next(csv.reader(stream, delimiter="\t"))


if __name__ == "__main__":
    csv.field_size_limit(2**31 - 1)  # a cell may hold a picture
    sys.stdout.write(f"{join_tables(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])} rows\n")
