"""The ways of choosing what to try."""

from enum import StrEnum


class SamplerKind(StrEnum):
    """How points are chosen."""

    GRID = "grid"
    """Every point of the lattice, or evenly spread ones where the space says how many."""
    RANDOM = "random"
    """Points at random."""
    BAYESIAN = "bayesian"
    """Where it did well before: the tree-structured Parzen estimator."""
    EVOLUTION = "evolution"
    """By crossing the best of several objectives: NSGA-II, a batch being a generation."""


DEFAULT_BATCH = {
    SamplerKind.GRID: 64,
    SamplerKind.RANDOM: 64,
    SamplerKind.BAYESIAN: 16,
    SamplerKind.EVOLUTION: 32,
}
"""Trials of a batch. The larger it is, the more workers are kept busy, the later is learned."""
