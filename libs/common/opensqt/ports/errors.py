"""What every port may raise."""


class DependencyError(Exception):
    """Something that we depend on does not answer, or answered that it cannot serve now."""
