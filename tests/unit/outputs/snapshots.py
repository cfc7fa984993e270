"""Snapshots for the tests of outputs: hostile names, and the strategies that make them."""

from hypothesis import strategies as st

from meshlens.probes.snapshot import Count, Direction, Snapshot

# A filter id is one line of a UTF-8 file; anything else may stand in it.
FILTER_CHARACTERS = st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])
FILTER_IDS = st.text(FILTER_CHARACTERS, min_size=1, max_size=20)
HOSTILE_IDS = st.one_of(FILTER_IDS, st.text('":\\{},=%aé\u2028 ', min_size=1, max_size=12))
INTERFACES = st.sampled_from(["mesh0", "mesh-vpn", 'a"b\\c', "capture\nof 12.pcap"])
NUMBERS = st.integers(0, 2**53)  # what a Prometheus sample, a double, holds to the last digit
MISSED = st.dictionaries(st.sampled_from(["map full", 'odd "reason"']), NUMBERS, max_size=2)


@st.composite
def snapshots(draw: st.DrawFn, ids: st.SearchStrategy[str] = HOSTILE_IDS) -> Snapshot:
    """Each filter on each interface in each direction, as a counting session reports them."""
    filters = draw(st.lists(ids, unique=True, max_size=6))
    interfaces = draw(st.lists(INTERFACES, unique=True, min_size=1, max_size=3))
    directions: tuple[Direction | None, ...] = draw(st.sampled_from([("in", "out"), ("in",), (None,)]))
    counts = []
    for name in filters:
        for interface in interfaces:
            for direction in directions:
                packets = draw(st.one_of(st.just(0), NUMBERS))
                octets = draw(NUMBERS) if packets else 0
                counts.append(Count(name, interface, direction, packets, octets))
    return Snapshot(0, tuple(counts), draw(MISSED))


SMALL = Snapshot(
    time_ns=2_000_000_000,
    counts=(
        Count("arp", "mesh0", "in", 10, 420),
        Count("arp", "mesh0", "out", 1, 42),
        Count("arp", "bat0", "in", 100, 4200),
        Count("arp", "bat0", "out", 0, 0),
        Count("icmp6", "mesh0", "in", 0, 0),
        Count("icmp6", "mesh0", "out", 0, 0),
        Count("icmp6", "bat0", "in", 7, 700),
        Count("icmp6", "bat0", "out", 0, 0),
    ),
    missed={"map full": 0},
)
