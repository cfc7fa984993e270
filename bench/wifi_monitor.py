"""What `meshlens wifi` costs: a frame of a monitor interface in the program, by BPF_PROG_TEST_RUN.

Frames as mac80211 hands them on: radiotap with a namespace for each of two antennas, and 802.11.
"""

from collections.abc import Iterator
from statistics import fmean, median

from bench.measure import difference, ns_by_kind
from bench.programs import empty_program, load
from bench.report import Figure
from meshlens.ebpf import Program, run_statistics
from meshlens.packet.craft_wifi import dot11, radiotap
from meshlens.packet.radiotap import parse_radiotap
from meshlens.packet.wifi_mix import wifi_mix
from meshlens.probes.flows.stream import compile_filter
from meshlens.wifi.monitor.frame import IEEE80211_RADIOTAP
from meshlens.wifi.monitor.program import monitor_program

_MAX_TRANSMITTERS = 4096
_AP = "02:00:00:00:ff:ff"
_FRAMES = 4  # of a kind
#: Kinds of frames by the first byte of their header, their type and subtype.
_FIRST_BYTES = {0x80: "beacon", 0x88: "QoS data in an A-MPDU", 0x08: "data of 802.11a", 0xD4: "ACK"}
_FILTER = "wlan type data or wlan type mgt subtype beacon"


def figures(quick: bool) -> Iterator[Figure]:
    compiled = compile_filter(_FILTER, IEEE80211_RADIOTAP)
    programs = [
        load(monitor_program(_MAX_TRANSMITTERS)),
        load(monitor_program(_MAX_TRANSMITTERS, compiled=compiled)),
        load(monitor_program(_MAX_TRANSMITTERS, clock="fine")),
        empty_program("tc"),
    ]
    plain, filtering, fine, empty = ns_by_kind(programs, _kinds(), quick=quick)
    for kind, ns in difference(plain, empty).items():
        yield Figure(f"{kind}, above an empty program", ns, "ns", at_most=60)
    added = difference(filtering, plain)
    behind = fmean(ns for kind, ns in added.items() if kind != "ACK")  # which it does not match
    yield Figure(f"the filter '{_FILTER}', in addition", behind, "ns")
    yield Figure("times to the nanosecond, in addition", fmean(difference(fine, plain).values()), "ns")
    with run_statistics():
        for transmitters in (100, 4_000):
            yield Figure(f"{transmitters:,} transmitters in turn, above an empty program",
                         _in_turn(programs[0], programs[-1], transmitters), "ns")  # fmt: skip


def _in_turn(program: Program, empty: Program, transmitters: int) -> float:
    """Each frame is another transmitter's than the one before, so that entries have to stay in the caches.

    By the kernel's run statistics, whose own time is in both programs' and so in no difference.
    """
    frames = [
        radiotap(tsft=1, flags=0, rate=12, channel=(2412, 0), signal=-50, antenna=0, rx_flags=0)
        + dot11("data", _AP, f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}", _AP, bytes(100))
        for number in range(transmitters)
    ]

    def mean_ns(which: Program) -> float:
        for data in frames:
            which.test_run(data)
        before = which.info()
        for _ in range(8_000 // transmitters):
            for data in frames:
                which.test_run(data)
        after = which.info()
        return (after.run_time_ns - before.run_time_ns) / (after.run_count - before.run_count)

    return median(mean_ns(program) - mean_ns(empty) for _ in range(5))


def _kinds() -> dict[str, list[bytes]]:
    """Some frames of each kind, whole ones."""
    kinds: dict[str, list[bytes]] = {name: [] for name in _FIRST_BYTES.values()}
    for frame in wifi_mix():
        tap = parse_radiotap(frame.data)
        name = _FIRST_BYTES.get(frame.data[tap.length])
        if name and not tap.damaged and len(kinds[name]) < _FRAMES:
            kinds[name].append(frame.data)
    return kinds
