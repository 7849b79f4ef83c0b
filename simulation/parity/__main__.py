"""`python -m simulation.parity`, which is `make parity`."""

import sys

from simulation.parity.command import main

if __name__ == "__main__":
    sys.exit(main())
