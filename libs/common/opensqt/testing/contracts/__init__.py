"""Contract suites: classes of tests that every implementation of a port inherits."""
