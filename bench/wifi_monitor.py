"""What `meshlens wifi` costs: a frame of a monitor interface in the program, by BPF_PROG_TEST_RUN.

Frames as mac80211 hands them on: radiotap with a namespace for each of two antennas, and 802.11.
"""

from collections.abc import Iterator
from statistics import fmean

from bench.measure import difference, ns_by_kind
from bench.programs import empty_program, load
from bench.report import Figure
from meshlens.packet.radiotap import parse_radiotap
from meshlens.packet.wifi_mix import wifi_mix
from meshlens.probes.flow_stream import compile_filter
from meshlens.wifi.monitor_frame import IEEE80211_RADIOTAP
from meshlens.wifi.monitor_program import monitor_program

_MAX_TRANSMITTERS = 4096
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


def _kinds() -> dict[str, list[bytes]]:
    """Some frames of each kind, whole ones."""
    kinds: dict[str, list[bytes]] = {name: [] for name in _FIRST_BYTES.values()}
    for frame in wifi_mix():
        tap = parse_radiotap(frame.data)
        name = _FIRST_BYTES.get(frame.data[tap.length])
        if name and not tap.damaged and len(kinds[name]) < _FRAMES:
            kinds[name].append(frame.data)
    return kinds
