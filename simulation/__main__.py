"""`python -m simulation`, which is `make sim`."""

import sys

from simulation.command import main

if __name__ == "__main__":  # the processes that run the seeds import this too
    sys.exit(main())
