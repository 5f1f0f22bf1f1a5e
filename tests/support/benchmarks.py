"""Benchmarks in a process of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def figures_of(name: str, *arguments: str | Path) -> dict[str, Any]:
    """What a benchmark measured; it may have ended below its floor, which the speed of the machine decides."""
    command = [sys.executable, "-X", "faulthandler", "-m", f"benchmarks.{name}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate()
        except BaseException:  # the test has no time left: say where the benchmark stands
            process.send_signal(signal.SIGABRT)
            sys.stderr.write(process.communicate()[1])
            raise
    assert process.returncode in (0, 1), err
    assert out, err
    figures: dict[str, Any] = json.loads(out)
    return figures
