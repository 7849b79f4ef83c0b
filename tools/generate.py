"""Generates the Python code of api/proto: messages, gRPC, and typed stubs of both.

With --check nothing is written; the exit code says whether the committed code is up to date.
The directory it writes belongs to it alone: files that no proto explains are removed.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "api" / "proto"
OUTPUT = ROOT / "libs" / "common"
GENERATED = Path("opensqt") / "market_maker"

STUB_PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
INIT = '"""Generated from api/proto by `make generate`; do not edit."""\n'


def generate(output: Path) -> None:
    """Write the code of every proto below `output`."""
    protos = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    if not protos:
        raise SystemExit(f"no .proto below {PROTO.relative_to(ROOT)}")
    package = output / GENERATED
    package.mkdir(parents=True)
    scripts = Path(sys.executable).parent  # beside python in the environment, not always on PATH
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--python_out={output}",
            f"--grpc_python_out={output}",
            *(f"--plugin={name}={scripts / name}" for name in STUB_PLUGINS),
            f"--mypy_out=quiet:{output}",
            f"--mypy_grpc_out=quiet:{output}",
            *protos,
        ]
    )
    if status:
        raise SystemExit(status)
    for directory in (package, *(path for path in package.rglob("*") if path.is_dir())):
        (directory / "__init__.py").write_text(INIT)


def differences(fresh: Path, committed: Path) -> Iterator[str]:
    """Yield the paths in which the two trees differ."""
    names = {
        path.relative_to(tree)
        for tree in (fresh, committed)
        for path in tree.rglob("*")
        if path.is_file() and path.suffix in {".py", ".pyi"}
    }
    for name in sorted(names):
        new, old = fresh / name, committed / name
        if not (new.exists() and old.exists() and filecmp.cmp(new, old, shallow=False)):
            yield str(GENERATED / name)


def main() -> None:
    """Generate, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, committed = Path(scratch) / GENERATED, OUTPUT / GENERATED
        changed = list(differences(fresh, committed))
        if check and changed:
            listing = "\n  ".join(changed)
            raise SystemExit(f"generated code is stale; run `make generate`:\n  {listing}")
        if not check:
            shutil.rmtree(committed, ignore_errors=True)
            shutil.copytree(fresh, committed)
    sys.stdout.write(f"generated code: {'up to date' if check else f'{len(changed)} changed'}\n")


if __name__ == "__main__":
    main()
