"""The referee: watches a world and holds every event against the numbered invariants.

It knows what the exchange knows, and every commit of the ledger; the system under test knows
neither. Its checks are grouped by what they watch: the exchange, the ledger's commits, and the
whole once everything has come to rest. What it has seen so far, all of them share in `Facts`.
"""

from simulation.referee.referee import Referee

__all__ = ["Referee"]
