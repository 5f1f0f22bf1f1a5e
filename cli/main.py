"""The command `medq`. Each command is a client of the services, by their stubs alone."""

from __future__ import annotations

import os

# Several small models run on few cores: one thread each is faster than two that wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import typer

from cli.access import with_access
from cli.commands import dataset, dev_set
from cli.commands.audit import verify_audit
from cli.commands.cancel import cancel
from cli.commands.compare import compare
from cli.commands.costs import costs
from cli.commands.demo import demo
from cli.commands.egress import list_egress
from cli.commands.estimate import estimate
from cli.commands.evaluate import evaluate
from cli.commands.experiment import experiment
from cli.commands.ingest import ingest
from cli.commands.lineage import lineage
from cli.commands.pause import pause, resume
from cli.commands.reembed import reembed
from cli.commands.report import report
from cli.commands.review import app as review
from cli.commands.run import run
from cli.commands.score import score
from cli.commands.serve import serve
from cli.commands.status import status
from cli.commands.token import token

app = typer.Typer(
    name="medq",
    help=(
        "A closed-loop data engine that makes multimodal models good at judging medical image quality.\n\n"
        "Start with `medq demo --out out/demo`; then `medq run --config run.yaml --out DIR` on images of your own.\n\n"
        "Exit codes: 0 done, 1 failed, 2 wrong input, 3 done but a part was lost or could not be evaluated, "
        "4 no answer from a service, 130 interrupted."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    demo, experiment, estimate, run, status, pause, resume, cancel, report, costs, lineage, compare, evaluate, score, ingest,
    reembed, serve, token,
)  # fmt: skip
for command in COMMANDS:
    app.command()(with_access(command))
egress = typer.Typer(help="What leaves the site for the endpoints that it names.", no_args_is_help=True)
egress.command("list")(with_access(list_egress))
app.add_typer(egress, name="egress")
audit = typer.Typer(help="What reviewers and operators did at the queue of the experts.", no_args_is_help=True)
audit.command("verify")(with_access(verify_audit))
app.add_typer(audit, name="audit")
app.add_typer(review, name="review", no_args_is_help=True)
app.add_typer(dataset.app)
app.add_typer(dev_set.app)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
