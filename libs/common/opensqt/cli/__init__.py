"""The command line `opensqt`: runs OpenSQT here, and looks into it wherever it runs.

One module for each group of commands. Commands ask the services over gRPC like any other client;
they never read a database, and they hold no trading logic.
"""

import os
import sys


def main() -> None:
    """Run the command line; the entry point `opensqt`."""
    # gRPC's own words on broken connections are for its developers; ours say what they mean.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from opensqt.cli.app import app
    except ImportError as error:
        # Not even `doctor` could run, so its answer is given here.
        sys.exit(f"{error}: make the environment anew: rm -rf .venv && make run")
    app(prog_name="opensqt", args=sys.argv[1:])
