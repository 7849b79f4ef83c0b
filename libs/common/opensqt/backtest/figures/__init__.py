"""What came of a run, in figures: money that adds up exactly, and what a trader judges it by."""
