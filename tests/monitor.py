"""The monitor program in BPF_PROG_TEST_RUN, held against its definition in Python."""

from collections.abc import Iterable

from meshlens.ebpf import Program, Skb, pack_context
from meshlens.wifi.monitor.layout import (
    RATES,
    TALLY,
    TRANSMITTERS,
    Entry,
    RateKey,
    read_tally,
    unpack_key,
    unpack_rate,
)
from meshlens.wifi.monitor.program import monitor_program
from meshlens.wifi.monitor.table import MonitorTable, join, join_rates

__all__ = ["compare", "is_testable", "loaded"]

#: What the kernel takes: a frame in one page, that does not seem to be IP and too short for it.
_BYTES = range(14, 3800)
_IP = (b"\x08\x00", b"\x86\xdd")


def loaded(link_type: int) -> Program:
    """The program that takes a frame's time from its context."""
    return monitor_program(8192, link_type=link_type, clock="skb").load()


def is_testable(data: bytes) -> bool:
    """Whether a frame can be given to the program."""
    return len(data) in _BYTES and data[12:14] not in _IP


def compare(program: Program, link_type: int, given: Iterable[tuple[bytes, int]]) -> dict[str, int]:
    """Give frames with their times to both; returns what became of them."""
    table = MonitorTable()
    for data, time_ns in given:
        table.add(data, len(data), link_type, time_ns)
        program.test_run(data, ctx=pack_context(Skb, tstamp=time_ns))
    transmitters, rates = program.maps[TRANSMITTERS], program.maps[RATES]
    entries = join((unpack_key(key), Entry.unpack(value)) for key, value in transmitters.items())
    used = join_rates((RateKey.unpack(key), unpack_rate(value)) for key, value in rates.items())
    with program.maps[TALLY].mmap() as tally:
        outcomes = read_tally(tally)
        tally[:] = bytes(len(tally))
    for each in (transmitters, rates):
        for key in list(each.keys()):
            each.delete(key)
    assert outcomes == table.outcomes
    assert entries == table.entries
    assert used == table.rates
    return outcomes
