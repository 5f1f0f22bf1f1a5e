"""Photograph the top of a report for the README: `python -m infra.report_picture`.

A headless Chromium draws the page; the picture is kept small by a palette. It knows nothing of what the page says.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from shared.errors import InvalidArgument, MedqError, NotFound, Unavailable

REPORT = Path("out/demo/report.html")
PICTURE = Path("docs/images/report.png")
LARGEST_BYTES = 300_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WIDTH, _HEIGHT = 1160, 860  # pixels of the page: down to the figure
_COLOURS = 128
_TIMEOUT_SECONDS = 120


def find_browser(path: str | None = None) -> str:
    """The first of `BROWSERS` that is installed.

    Args:
        path: Folders to look in, as in the variable PATH; None: that variable.

    Raises:
        NotFound: None of them is there.
    """
    for name in BROWSERS:
        if program := shutil.which(name, path=path):
            return program
    raise NotFound(
        "No Chromium is installed here.",
        field="browser",
        value=", ".join(BROWSERS),
        remedy="Install one, on Debian by `apt-get install chromium`.",
    )


def photograph(browser: str, report: Path, picture: Path) -> int:
    """Draw the top of a page and write it as a PNG of few colours.

    Args:
        browser: Chromium's program.
        report: The page.
        picture: Where to; its folder is made.

    Returns:
        Bytes of the picture, at most `LARGEST_BYTES`.

    Raises:
        NotFound: There is no such page.
        InvalidArgument: The picture is larger than it may be; nothing is written.
        Unavailable: The browser drew nothing.
    """
    if not report.is_file():
        remedy = "Make it by `make demo`, or name another by --report."
        raise NotFound("There is no report to photograph.", field="report", value=report, remedy=remedy)
    with tempfile.TemporaryDirectory() as folder:
        full, small = Path(folder) / "full.png", Path(folder) / "small.png"
        _draw(browser, report, full, Path(folder))
        with Image.open(full) as image:
            image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(small, optimize=True)
        n_bytes = small.stat().st_size
        if n_bytes > LARGEST_BYTES:
            message = f"The picture has {n_bytes} bytes; {LARGEST_BYTES} are allowed."
            raise InvalidArgument(message, field="report", value=report, remedy="Show less of the page.")
        picture.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(small, picture)
    return n_bytes


def _draw(browser: str, report: Path, target: Path, profile: Path) -> None:
    """Have the browser write its whole window as a PNG."""
    command = [browser, "--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
    command += [f"--window-size={_WIDTH},{_HEIGHT}", f"--screenshot={target}", report.resolve().as_uri()]
    if os.geteuid() == 0:
        command.insert(1, "--no-sandbox")  # Chromium has no sandbox for root; the page is our own
    done = subprocess.run(command, timeout=_TIMEOUT_SECONDS, capture_output=True, text=True)
    if not target.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unavailable(f"The browser drew nothing: {last}", field="browser", value=browser)


def main() -> None:
    """Photograph, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--report", type=Path, default=REPORT, help=f"the page; by default {REPORT}")
    parser.add_argument("--picture", type=Path, default=PICTURE, help=f"where to; by default {PICTURE}")
    options = parser.parse_args()
    try:
        n_bytes = photograph(find_browser(), options.report, options.picture)
    except MedqError as error:
        sys.stderr.write(f"{error.message} {error.metadata.get('remedy', '')}\n")
        raise SystemExit(2) from None
    sys.stdout.write(f"{options.picture}: {n_bytes} bytes\n")


if __name__ == "__main__":
    main()
