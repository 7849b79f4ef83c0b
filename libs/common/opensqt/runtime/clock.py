"""The wall clock, as the `Clock` port."""

import time


class SystemClock:
    """Reads the machine's wall clock; the simulation and the tests use other clocks."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()
