"""How sightings become entries, and entries of several CPUs one station."""

import sys

from meshlens.probes.stations.layout import (
    DHCP,
    EVERY_GAP,
    GAP_BINS,
    GAP_TURN,
    SIZE_BINS,
    SYN,
    VALUE_BYTES,
    First,
    Fragment,
    pack_key,
    unpack_key,
)
from meshlens.probes.stations.packet import Sighting
from meshlens.probes.stations.protocols import CLASSES, IS_VLAN
from meshlens.probes.stations.table import Seen, fold, records

MAC, US = bytes(5) + b"\1", 1000
DNS = CLASSES.index(("ipv4", "udp", "dns"))


def sighting(size: int = 100, number: int = DNS, facts: int = 0) -> Sighting:
    return Sighting(MAC, "station", number, facts, 0, size, None)


def folded(*times_ns: int, way: int = 0) -> Fragment:
    entry = None
    for time_ns in times_ns:
        entry = fold(entry, sighting(), time_ns, way)
    assert entry
    return entry


def test_sizes_are_counted_by_powers_of_two_and_the_last_bin_takes_all_above() -> None:
    entry = None
    for size in (63, 64, 127, 128, 65_535, 100_000):
        entry = fold(entry, sighting(size), 1, 0)
    assert entry
    assert {n: count for n, count in enumerate(entry.sizes) if count} == {5: 1, 6: 2, 7: 1, SIZE_BINS - 1: 2}


def test_gaps_are_counted_in_microseconds_between_packets_that_came_in() -> None:
    entry = folded(1, 1 + 999, 1000 + 1 * US, 2000 + 8 * US, 10**12)
    assert {n: count for n, count in enumerate(entry.gaps) if count} == {0: 2, 3: 1, GAP_BINS - 1: 1}
    assert sum(folded(1, 1000, 2000, way=1).gaps) == 0


def test_a_time_that_goes_back_is_a_gap_of_nothing_and_moves_the_first_packet() -> None:
    entry = folded(5000, 1000)
    assert entry.gaps[0] == 1
    assert (entry.first_ns, entry.last_ns) == (1000, 5000)


def test_of_a_busy_station_one_gap_in_so_many_is_measured() -> None:
    entry = folded(*range(1, EVERY_GAP + 10 * GAP_TURN + 1))
    assert EVERY_GAP + 8 <= sum(entry.gaps) <= EVERY_GAP + 11


def test_an_entry_survives_the_map() -> None:
    entry = folded(1, 2000, 90_000)
    words = (
        entry.first_ns, entry.last_ns, entry.gap_begin_ns, entry.packets[0], entry.octets[0],
        entry.packets[1], entry.octets[1], entry.facts, *entry.casts, entry.vlan,
        *entry.sizes, *entry.gaps, *entry.classes,
    )  # fmt: skip
    value = b"".join(word.to_bytes(8, sys.byteorder) for word in words)
    assert len(value) == VALUE_BYTES
    assert Fragment.unpack(value) == entry


def test_the_cpu_is_in_the_key_and_not_in_the_station() -> None:
    assert pack_key(MAC, "inner", 0) != pack_key(MAC, "inner", 511)
    assert unpack_key(pack_key(MAC, "inner", 511)) == (MAC, "inner")


def test_what_several_cpus_saw_is_added_up_and_stays_as_it_was_where_it_came_from() -> None:
    here, there = Seen(), Seen()
    here.put((MAC, "station"), folded(1000, 9000))
    there.put((MAC, "station"), folded(5000, way=1))
    here.add(there)
    (station,) = records("veth0", here, lambda _, itself: itself)
    assert (station.in_packets, station.out_packets, station.bytes) == (2, 1, 300)
    assert (station.first_ns, station.last_ns) == (1000, 9000)
    assert station.protocols == {"ipv4": 3, "udp": 3, "dns": 3}
    assert there.entries[MAC, "station"].packets == [0, 1]


def test_names_of_classes_are_added_up_and_tags_are_told() -> None:
    entry = fold(None, sighting(number=CLASSES.index(("arp",)), facts=IS_VLAN), 1, 0)
    entry = fold(entry, sighting(), 2, 0)
    seen = Seen({(MAC, "station"): entry})
    (station,) = records("veth0", seen, lambda mac, _: mac[-2:])
    assert station.protocols == {"arp": 1, "vlan": 1, "ipv4": 1, "udp": 1, "dns": 1}
    assert station.name == "01"


def test_idle_stations_are_forgotten_with_their_first_packets() -> None:
    seen = Seen({(MAC, "station"): folded(1000)}, {(MAC, SYN): First(64, b""), (MAC, DHCP): First(64, b"")})
    seen.drop_idle(1000)
    assert seen.entries
    seen.drop_idle(1001)
    assert not seen.entries
    assert not seen.firsts
