"""Rows that the kernel's program fills from frames that are given to it, and those of the definition."""

from collections.abc import Iterable, Iterator

from meshlens.classify.ethernet_station.program import SAMPLER, ethernet_program
from meshlens.classify.ethernet_station.sample import Entry
from meshlens.classify.kernel.entry import OUTCOMES, SAMPLES, Head, unpack_row
from meshlens.ebpf import BpfError, Map, Program, Skb, pack_context
from meshlens.probes.snapshot import Direction
from meshlens.probes.tally import TALLY, read_outcomes

__all__ = ["Bench", "Timed", "expected", "from_few_stations"]

Timed = tuple[int, bytes]


class Bench:
    """The programs of both directions, on frames that are given to them."""

    def __init__(self, max_entries: int = 100_000) -> None:
        self.programs: dict[Direction, Program] = {}
        self.maps: dict[str, Map] = {}
        for way in ("in", "out"):
            spec = ethernet_program(way, max_entries=max_entries, clock="skb")
            self.programs[way] = spec.load(self.maps)
            self.maps = self.programs[way].maps | self.maps
        SAMPLER.fill(self.maps)

    def run(self, frames: Iterable[Timed], way: Direction = "in") -> list[Timed]:
        """Those frames that the kernel takes: IP headers have to be whole (net/bpf/test_run.c)."""
        taken = []
        for time_ns, data in frames:
            try:
                self.programs[way].test_run(data, ctx=pack_context(Skb, tstamp=time_ns))
            except BpfError:
                continue
            taken.append((time_ns, data))
        return taken

    def entries(self) -> dict[bytes, tuple[int, tuple[int, ...]]]:
        """By address: the time of the first packet, and all numbers."""
        return {
            key: (Head.unpack(value).first_ns, unpack_row(value)) for key, value in self.maps[SAMPLES].items()
        }

    def tally(self) -> dict[str, int]:
        with self.maps[TALLY].mmap() as tally:
            return read_outcomes(tally, OUTCOMES)


def expected(frames: Iterable[Timed]) -> dict[bytes, tuple[int, tuple[int, ...]]]:
    entries: dict[bytes, Entry] = {}
    for time_ns, data in frames:
        if data[6] & 1:
            continue
        mac = data[6:12]
        entries.setdefault(mac, Entry(mac, time_ns)).add(data, len(data), time_ns)
    return {mac: (entry.first_ns, tuple(entry.values)) for mac, entry in entries.items()}


def from_few_stations(frames: Iterable[bytes], stations: int = 12) -> Iterator[bytes]:
    """The same frames from few addresses, so that windows fill."""
    for number, data in enumerate(frames):
        yield data[:6] + bytes([2, 0, 0, 0, 0, number % stations]) + data[12:] if len(data) >= 14 else data
