"""What was counted by counters that are no more, by interface name and direction.

Counts belong to the name of an interface: it may go and come back, and its counters are new each time.
"""

from collections.abc import Collection, Iterator

from meshlens.probes.count.readout import MISSED, Layout, Totals
from meshlens.probes.snapshot import Count, Direction

__all__ = ["Ledger"]

Key = tuple[str, Direction | None]


class Ledger:
    """Sums of (packets, bytes) for each interface name, direction and filter id."""

    def __init__(self) -> None:
        self.missed = dict.fromkeys(MISSED, 0)
        self._sums: dict[Key, dict[str, tuple[int, int]]] = {}

    def open(self, interface: str, direction: Direction | None) -> None:
        """Begin with an interface: it is listed from now on, whatever it counts."""
        self._sums.setdefault((interface, direction), {})

    def add(
        self,
        interface: str,
        direction: Direction | None,
        layout: Layout,
        totals: Totals,
        *,
        times: int = 1,
    ) -> None:
        """Add what was counted; `times` -1 takes it off."""
        sums = self._sums.setdefault((interface, direction), {})
        for each, (packets, bytes_) in zip(layout.filters, totals.filters, strict=True):
            if packets:
                before = sums.get(each, (0, 0))
                sums[each] = before[0] + times * packets, before[1] + times * bytes_
        for reason, frames in totals.missed.items():
            self.missed[reason] += times * frames

    def forget(self, keep: Collection[str]) -> None:
        """Drop the sums of filters whose id is not among those to keep."""
        for sums in self._sums.values():
            for each in sums.keys() - set(keep):
                del sums[each]

    def counts(self, filters: Collection[str]) -> Iterator[Count]:
        """For each interface and direction, in the order in which they came, the counts of `filters`."""
        for (interface, direction), sums in self._sums.items():
            for each in filters:
                yield Count(each, interface, direction, *sums.get(each, (0, 0)))

    def copy(self) -> "Ledger":
        """A ledger that can be added to without changing this one."""
        copied = Ledger()
        copied.missed = dict(self.missed)
        copied._sums = {key: dict(sums) for key, sums in self._sums.items()}
        return copied
