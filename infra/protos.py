"""Generate `shared/gen` from `protos`, or check that what is committed is what would be generated.

`python -m infra.protos` writes; `python -m infra.protos --check` compares and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "shared" / "gen"


def generate(target: Path) -> None:
    """Write the Python code and type stubs of every proto below `protos/` into `target`.

    Raises:
        SystemExit: protoc found an error; it has said which.
    """
    target.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    scripts = Path(sys.executable).parent  # the environment need not be activated
    plugins = [f"--plugin=protoc-gen-{kind}={scripts / f'protoc-gen-{kind}'}" for kind in ("mypy", "mypy_grpc")]
    status = protoc.main(["protoc", *plugins, f"-I{PROTOS}", f"-I{well_known}", *outputs, *sources])
    if status != 0:
        raise SystemExit(status)
    for stem in [source.removesuffix(".proto") for source in sources if source.endswith("events.proto")]:
        for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):  # no service in it: nothing to import
            (target / (stem + suffix)).unlink(missing_ok=True)


def differences(left: Path, right: Path) -> list[str]:
    """Relative paths of files that differ or stand in one of the two folders only."""
    names = {path.relative_to(base) for base in (left, right) for path in base.rglob("*.py*") if path.is_file()}
    names = {name for name in names if "__pycache__" not in name.parts}
    return sorted(
        str(name)
        for name in names
        if not ((left / name).exists() and (right / name).exists())
        or not filecmp.cmp(left / name, right / name, shallow=False)
    )


def main() -> None:
    """Generate, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    is_check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "gen"
        generate(fresh)
        if is_check:
            stale = differences(fresh, GENERATED)
            if stale:
                names = "\n  ".join(stale)
                sys.stderr.write(f"Generated code is not current: run `make protos`.\n  {names}\n")
                raise SystemExit(1)
            return
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(fresh, GENERATED)


if __name__ == "__main__":
    main()
