"""One fine-tuning job as a program: `python -m services.training.job SPEC.json`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from services.training.job.spec import read_spec
from shared.errors import MedqError, encode_error
from shared.logs import configure_logs, log_uncaught_errors
from shared.parent_process import die_with_parent


def main() -> None:
    """Run the job of a file; a typed error is written to its `error.json`, and the exit code is 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path, help="JSON file of a TrainingSpec")
    parser.add_argument("--parent", type=int, help="process id; this program ends when that process does")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    # This import takes seconds, which must not outlast the parent either.
    from services.training.job.finetune import finetune

    configure_logs()
    log_uncaught_errors()
    spec = read_spec(arguments.spec)
    try:
        finetune(spec)
    except MedqError as error:
        spec.error_file.write_text(json.dumps(encode_error(error), sort_keys=True))
        sys.exit(str(error))


if __name__ == "__main__":
    main()
