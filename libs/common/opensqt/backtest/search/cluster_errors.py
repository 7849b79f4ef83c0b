"""What can be wrong with a cluster; known without the libraries that talk to one."""


class ClusterError(Exception):
    """A cluster that does not answer, or has no workers."""
