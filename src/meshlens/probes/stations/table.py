"""Stations put together: from frames as the program would count them, and from fragments to records."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import compress

from meshlens.probes.stations.layout import (
    DHCP,
    EVERY_GAP,
    GAP_BINS,
    GAP_TURN,
    SIZE_BINS,
    SYN,
    First,
    Fragment,
)
from meshlens.probes.stations.options import dhcp_fingerprint, syn_signature
from meshlens.probes.stations.packet import Sighting
from meshlens.probes.stations.protocols import CLASSES, IS_VLAN, SEEN_MASK, names_of_facts
from meshlens.probes.stations.record import Station, StationKind
from meshlens.probes.stations.vendors import vendor_of

__all__ = ["Place", "Seen", "fold", "records"]

#: An address of a kind.
Place = tuple[bytes, StationKind]


@dataclass(slots=True)
class Seen:
    """What was seen on one interface: the entries, and first packets by address and SYN or DHCP."""

    entries: dict[Place, Fragment] = field(default_factory=dict)
    firsts: dict[tuple[bytes, int], First] = field(default_factory=dict)

    def put(self, place: Place, entry: Fragment) -> None:
        """Add an entry, which is kept and may be changed here."""
        if place in self.entries:
            self.entries[place].add(entry)
        else:
            self.entries[place] = entry

    def add(self, other: "Seen") -> None:
        """Add what was seen elsewhere, which stays as it is."""
        for place, entry in other.entries.items():
            self.put(place, entry.copy())
        self.firsts = other.firsts | self.firsts

    def drop(self, place: Place) -> None:
        """Forget a station."""
        del self.entries[place]
        for which in (SYN, DHCP):
            self.firsts.pop((place[0], which), None)

    def drop_idle(self, before_ns: int, but: Collection[Place] = ()) -> None:
        """Forget those whose last packet came before that time, `but` some."""
        for place, entry in list(self.entries.items()):
            if entry.last_ns < before_ns and place not in but:
                self.drop(place)


def fold(entry: Fragment | None, seen: Sighting, time_ns: int, way: int) -> Fragment:
    """Add a sighting to its entry, as the program does for a frame that is one packet."""
    if entry is None:
        entry = Fragment(first_ns=time_ns, last_ns=time_ns)
    entry.first_ns, entry.last_ns = min(entry.first_ns, time_ns), max(entry.last_ns, time_ns)
    if way == 0:
        _fold_gap(entry, time_ns)
        entry.casts[seen.cast] += 1
        entry.facts |= seen.facts & SEEN_MASK
    entry.packets[way] += 1
    entry.octets[way] += seen.size
    entry.vlan += bool(seen.facts & IS_VLAN)
    entry.sizes[_bin(seen.size, SIZE_BINS)] += 1
    entry.classes[seen.number] += 1
    return entry


def _fold_gap(entry: Fragment, time_ns: int) -> None:
    begin_ns, before = entry.gap_begin_ns, entry.packets[0]
    every = before < EVERY_GAP
    if begin_ns:
        entry.gaps[_bin(max(0, time_ns - begin_ns) // 1000, GAP_BINS)] += 1
        entry.gap_begin_ns = time_ns if every else 0
    elif every or before % GAP_TURN == GAP_TURN - 1:
        entry.gap_begin_ns = time_ns


def _bin(number: int, bins: int) -> int:
    """floor(log2(number)), 0 of 0, at most the last bin."""
    return min(max(number.bit_length() - 1, 0), bins - 1)


def records(interface: str, seen: Seen, name: Callable[[str, str], str]) -> Iterator[Station]:
    """The stations of an interface; `name` tells one of an address and what the station calls itself."""
    for (mac, kind), entry in seen.entries.items():
        dhcp, syn = seen.firsts.get((mac, DHCP)), seen.firsts.get((mac, SYN))
        fingerprint = dhcp_fingerprint(dhcp.data) if dhcp else None
        address = mac.hex(":")
        yield Station(
            interface=interface,
            mac=address,
            kind=kind,
            first_ns=entry.first_ns,
            last_ns=entry.last_ns,
            in_packets=entry.packets[0],
            in_bytes=entry.octets[0],
            out_packets=entry.packets[1],
            out_bytes=entry.octets[1],
            unicast=entry.casts[0],
            multicast=entry.casts[1],
            broadcast=entry.casts[2],
            protocols=_protocols(entry),
            sizes=tuple(entry.sizes),
            gaps=tuple(entry.gaps),
            seen=names_of_facts(entry.facts),
            dhcp=fingerprint,
            syn=syn_signature(syn.ttl, syn.data) if syn else None,
            name=name(address, fingerprint.hostname if fingerprint else ""),
            vendor=vendor_of(address),
        )


def _protocols(entry: Fragment) -> dict[str, int]:
    """Packets by name, the most first."""
    sums = Counter(vlan=entry.vlan)
    for number in compress(range(len(CLASSES)), entry.classes):
        for name in CLASSES[number]:
            sums[name] += entry.classes[number]
    return {name: packets for name, packets in sums.most_common() if packets}
