"""What two runs do differently, from which it follows, and what it comes to in money.

`matching` finds pairs, `differences` says what differs and why, `traded` what each run traded. The
runs may be of any origin: nothing here looks at client order ids, epochs or engines. Where the
clocks have nothing to do with each other (a recording, and its replay today), `clocks` finds by how
much they are apart.
"""

from opensqt.backtest.diff.compare import Comparison, compare
from opensqt.backtest.diff.differences import Difference, DifferenceKind, Link

__all__ = ["Comparison", "Difference", "DifferenceKind", "Link", "compare"]
