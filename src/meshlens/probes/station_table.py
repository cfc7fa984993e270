"""Stations put together: from frames as the program would count them, and from fragments to records."""

from collections import Counter
from collections.abc import Mapping

from meshlens.probes.station_layout import DHCP, GAP_BINS, SIZE_BINS, SYN, First, Fragment
from meshlens.probes.station_options import dhcp_fingerprint, syn_signature
from meshlens.probes.station_packet import Sighting
from meshlens.probes.station_protocols import CLASSES, IS_VLAN, SEEN_MASK, names_of_facts
from meshlens.probes.station_record import Station, StationKind

__all__ = ["Firsts", "Place", "fold", "record"]

#: An address of a kind.
Place = tuple[bytes, StationKind]
#: The first packets of addresses: (address, SYN or DHCP).
Firsts = Mapping[tuple[bytes, int], First]


def fold(entry: Fragment | None, seen: Sighting, time_ns: int, way: int) -> Fragment:
    """Add a sighting to its entry, as the program does for a frame that is one packet."""
    if entry is None:
        entry = Fragment(first_ns=time_ns, last_ns=time_ns)
    entry.first_ns, entry.last_ns = min(entry.first_ns, time_ns), max(entry.last_ns, time_ns)
    if way == 0:
        if entry.last_in_ns:
            entry.gaps[_bin(max(0, time_ns - entry.last_in_ns) // 1000, GAP_BINS)] += 1
        entry.last_in_ns = time_ns
        entry.casts[seen.cast] += 1
        entry.facts |= seen.facts & SEEN_MASK
    entry.packets[way] += 1
    entry.octets[way] += seen.size
    entry.vlan += bool(seen.facts & IS_VLAN)
    entry.sizes[_bin(seen.size, SIZE_BINS)] += 1
    entry.classes[seen.number] += 1
    return entry


def _bin(number: int, bins: int) -> int:
    """floor(log2(number)), 0 of 0, at most the last bin."""
    return min(max(number.bit_length() - 1, 0), bins - 1)


def record(
    interface: str, place: Place, entry: Fragment, firsts: Firsts, name: str = "", vendor: str = ""
) -> Station:
    """The station of an entry; its name is `name`, else what it calls itself."""
    mac, kind = place
    dhcp, syn = firsts.get((mac, DHCP)), firsts.get((mac, SYN))
    fingerprint = dhcp_fingerprint(dhcp.data) if dhcp else None
    return Station(
        interface=interface,
        mac=mac.hex(":"),
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
        name=name or (fingerprint.hostname if fingerprint else ""),
        vendor=vendor,
    )


def _protocols(entry: Fragment) -> dict[str, int]:
    """Packets by name, the most first."""
    sums = Counter(vlan=entry.vlan)
    for names, packets in zip(CLASSES, entry.classes, strict=True):
        if packets:
            for name in names:
                sums[name] += packets
    return {name: packets for name, packets in sums.most_common() if packets}
