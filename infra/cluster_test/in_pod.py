"""What a pod of the client's image does in the cluster test, given to `python -c` after `tests/support/tiny_study.py`.

Writes the study where it is not there yet, runs it against `MEDQ_SERVER` as run `RUN_ID`, and prints the report as one line.
"""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

MARK = "MEDQ-REPORT "
#: The run of `helm test`, which nobody disturbs.
RUN = "undisturbed"


def main() -> None:
    """Write the study, run it, print its report."""
    study, out = Path(os.environ.get("STUDY", "/data/tiny")), Path("/tmp/out")
    with open(study.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not study.exists():
            partial = study.with_suffix(".partial")
            write_tiny_study(partial)  # type: ignore[name-defined]  # noqa: F821 - of the text before this one
            add_arms(partial / "run.yaml")
            partial.rename(study)
    command = [sys.executable, "-m", "cli.main", "run", "--config", str(study / "run.yaml"), "--out", str(out)]
    command += ["--run-id", os.environ.get("RUN_ID", RUN), "--server", os.environ["MEDQ_SERVER"]]
    code = subprocess.run(command, check=False).returncode
    if (out / "report.json").exists():
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        print(MARK + json.dumps(report, sort_keys=True))  # noqa: T201 - a program's output
    sys.exit(code)


def add_arms(config: Path) -> None:
    """Two arms instead of one: a run long enough to be disturbed on its way."""
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["arms"] = ["failure_driven", "random"]
    config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
