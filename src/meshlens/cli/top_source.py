"""Where `meshlens top` gets its readings: a monitor, or what stands in for one in tests."""

from typing import Protocol

from meshlens.readings.reading import Reading

__all__ = ["Source"]


class Source(Protocol):
    """Tells how things stand; `wake()` ends a `wait()` from another thread."""

    def read(self) -> Reading:
        """How things stand."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def wake(self) -> None:
        """Let no more time pass."""
