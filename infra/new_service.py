"""Add a service from the template: `python -m infra.new_service NAME`.

Writes `protos/medq/NAME/v1`, `services/NAME`, `shared/rows/NAME.py` and `tests/unit/NAME`; touches nothing that is there.
`docs/adding-a-service.md` says what remains to be done by hand.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = Path(__file__).resolve().parent / "service_template"
_NAME = re.compile(r"[a-z][a-z0-9]{2,30}")


def add_service(name: str, root: Path) -> list[Path]:
    """Write the files of a new service below `root`.

    Args:
        name: Lower-case noun of what it decides: "deidentification".
        root: The repository, or a copy of it.

    Returns: The paths written.

    Raises:
        SystemExit: The name is of another form, or a file is there already.
    """
    if not _NAME.fullmatch(name):
        raise SystemExit(f"{name!r} is no name: one lower-case noun of 3 to 31 letters and digits is.")
    written = []
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        target = root / str(source.relative_to(TEMPLATE)).replace("NAME", name)
        if target.exists():
            raise SystemExit(f"{target.relative_to(root)} is there already; nothing is overwritten.")
        text = source.read_text(encoding="utf-8")
        for mark, word in (("NAME", name), ("CLASS", name.capitalize()), ("UPPER", name.upper())):
            text = text.replace(mark, word)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def main() -> None:
    """Add the service that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name", help="one lower-case noun of what the service decides")
    for path in add_service(parser.parse_args().name, ROOT):
        print(path.relative_to(ROOT))  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
