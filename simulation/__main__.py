"""`python -m simulation`, which is `make sim`."""

import sys

from simulation.command import main

sys.exit(main())
