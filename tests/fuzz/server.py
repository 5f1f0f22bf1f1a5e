"""The six services as a process that may hang, swell or die.

`python -m tests.fuzz.server STATE [DATABASE_URL]` ends at SIGTERM, and when the judge is gone and standard input ends.
"""

from __future__ import annotations

import resource
import signal
import sys
import threading
from pathlib import Path

from services.embedded import Embedded
from shared.logs import configure_logs
from tests.fuzz.limits import MOST_ADDRESS_SPACE


def main() -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESS_SPACE, MOST_ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    configure_logs("INFO")
    overrides = {"database_url": sys.argv[2]} if len(sys.argv) > 2 else {}
    with Embedded(Path(sys.argv[1]), overrides):
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main()
