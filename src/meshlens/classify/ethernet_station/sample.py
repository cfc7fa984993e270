"""Rows of stations from frames: the plain-Python definition of what the kernel program computes.

A station is the source of a frame; frames that a capture says went out are no station's. A group frame that
comes once more within a millisecond is the echo of an access point that repeats it, and is left out.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from meshlens.classify.ethernet_station import options
from meshlens.classify.ethernet_station.features import (
    EARLY,
    FEATURES,
    GAP_BINS,
    KIND_OF_CLASS,
    KINDS,
    PLACE,
    PORTS,
    SIZE_BINS,
    SLOTS,
    SMALL,
    SMALL_STEP,
    STATE,
    STEP,
    WINDOW,
    WINDOW_US,
    place,
)
from meshlens.classify.features import Sample
from meshlens.packet.capture import read_capture
from meshlens.probes.stations.packet import BOOTP_BYTES, ETHERNET_BYTES, UDP_BYTES, Headers, dissect
from meshlens.probes.stations.protocols import CLASSES, HAS_PORTS, IS_DHCP, IS_SYN

__all__ = ["ECHO_US", "MAX_SIZE", "MAX_STATIONS", "Entry", "bucket", "read", "size_bin"]

#: As many stations of one capture are told apart; frames of others are left out.
MAX_STATIONS: Final = 65_536
#: No frame is larger.
MAX_SIZE: Final = 0xFFFF
ECHO_US: Final = 1000

_ETHERNET: Final = 1
_BROADCAST: Final = b"\xff" * 6
_FIN, _RST = 0x01, 0x04
_TCP_HEADER_BYTES: Final = 20
_DNS, _PLAIN_UDP = KINDS.index("dns"), KINDS.index("udp")
_TCP_CLASSES: Final = frozenset(number for number, names in enumerate(CLASSES) if "tcp" in names)


def read(path: str) -> Iterator[Sample]:
    """The stations of a capture file. Raises CaptureError where it is broken, after what stands before."""
    entries: dict[bytes, Entry] = {}
    try:
        with read_capture(path) as reader:
            for frame in reader:
                if frame.link_type == _ETHERNET and frame.direction != "out":
                    _add(entries, frame.data, frame.wire_length, frame.timestamp_ns)
    finally:
        yield from (entry.sample(path, mac) for mac, entry in entries.items())


def _add(entries: dict[bytes, "Entry"], data: bytes, wire_length: int, time_ns: int) -> None:
    if len(data) < ETHERNET_BYTES or data[6] & 1:
        return
    mac = data[6:12]
    entry = entries.get(mac)
    if entry is None:
        if len(entries) >= MAX_STATIONS:
            return
        entry = entries[mac] = Entry(mac, time_ns)
    entry.add(data, wire_length, time_ns)


class Entry:
    """The row of one station, and what is remembered behind it; `packets` are those in the window.

    `early` are rows as they were after EARLY packets.
    """

    __slots__ = ("early", "first_ns", "values")

    def __init__(self, mac: bytes, first_ns: int) -> None:
        self.first_ns = first_ns
        self.early: list[tuple[int, ...]] = []
        self.values = [0] * (len(FEATURES) + len(STATE))
        self.values[PLACE["oui"]] = int.from_bytes(mac[:3])

    @property
    def packets(self) -> int:
        return self.values[PLACE["packets"]]

    @property
    def row(self) -> tuple[int, ...]:
        """The features."""
        return tuple(self.values[: len(FEATURES)])

    def sample(self, file: str, mac: bytes) -> Sample:
        early = tuple(row for row in self.early if row != self.row)
        return Sample(file, mac.hex(":"), self.first_ns, self.row, self.packets, early)

    def add(self, data: bytes, wire_length: int, time_ns: int) -> bool:
        """Add a frame, which has an Ethernet header; False if it changes nothing."""
        if self.packets >= WINDOW or self.values[PLACE["closed"]]:
            return False
        headers = dissect(data)
        size, kind = min(wire_length, MAX_SIZE), KIND_OF_CLASS[headers.number]
        us = max(time_ns - self.first_ns, 0) // 1000
        values, last = self.values, size * len(KINDS) + kind
        if us > WINDOW_US:
            values[PLACE["closed"]] = 1
            return False
        gap_us = max(us - values[PLACE["last_us"]], 0)
        if data[0] & 1 and values[PLACE["last"]] == last and gap_us < ECHO_US:
            return False
        before = self.packets
        values[PLACE["last"]], values[PLACE["last_us"]] = last, us
        self._count("unicast" if not data[0] & 1 else "broadcast" if data[:6] == _BROADCAST else "multicast")
        if headers.ip:
            self._add_ip(data, headers.ip)
        if headers.facts & HAS_PORTS:
            self._add_transport(data, headers, size, kind)
        if headers.facts & IS_DHCP:
            self._add_request(data, headers.behind)
        self._add_sizes(size, kind, us)
        gap = gap_us.bit_length()
        if before:
            values[PLACE["pause"]] = max(values[PLACE["pause"]], _ms(gap_us))
            self._count(f"gapped_{min(max(gap - 1, 0) // 2, GAP_BINS - 1)}")
        values[PLACE["span"]] = _ms(us)
        if before < SLOTS:
            slots = {"size": size, "kind": kind + 1, "reached": values[PLACE["addresses"]], "gap": gap,
                     "at": _ms(us)}  # fmt: skip
            for name, value in slots.items():
                values[PLACE[f"{name}_{before}"]] = value
        self._count("packets")
        if before + 1 in EARLY:
            self.early.append(self.row)
        return True

    def _count(self, name: str, amount: int = 1) -> int:
        """Add to a feature; what it was before."""
        before = self.values[PLACE[name]]
        self.values[PLACE[name]] = before + amount
        return before

    def _push(self, counter: str, series: str, value: int) -> None:
        """Put a value at the next of a series' places, if there is one; `counter` counts all."""
        number = self._count(counter)
        if number < PORTS:
            self.values[PLACE[f"{series}_{number}"]] = value

    def _add_sizes(self, size: int, kind: int, us: int) -> None:
        values = self.values
        self._count("bytes", size)
        self._count(f"sized_{size_bin(size)}")
        if not values[place(kind, "packets")]:
            values[place(kind, "first")] = values[place(kind, "least")] = size
            values[place(kind, "since")] = _ms(us) + 1
        values[place(kind, "packets")] += 1
        values[place(kind, "bytes")] += size
        values[place(kind, "least")] = min(values[place(kind, "least")], size)
        values[place(kind, "most")] = max(values[place(kind, "most")], size)

    def _add_ip(self, data: bytes, at: int) -> None:
        if data[at] >> 4 == 4:
            word, ttl = _number(data, at + 16, 4), data[at + 8]
            self._count("ip_options", data[at] != 0x45)
        else:
            word, ttl = 0, data[at + 7]
            for offset in range(24, 40, 4):
                word ^= _number(data, at + offset, 4)
        if not self.values[PLACE["ttl"]]:
            self.values[PLACE["ttl"]] = ttl
        self._note("addresses", "address_bits", word)

    def _note(self, counter: str, bits: str, word: int) -> None:
        """Count a number if its bit was not set."""
        number = bucket(word)
        where = PLACE[f"{bits}_{number >> 5}"]
        if not self.values[where] >> (number & 31) & 1:
            self.values[where] |= 1 << (number & 31)
            self._count(counter)

    def _add_transport(self, data: bytes, headers: Headers, size: int, kind: int) -> None:
        at = headers.behind
        port = _number(data, at + 2, 2)
        if headers.number in _TCP_CLASSES:
            self._add_tcp(data, headers, size, port)
            return
        self._note("ports", "port_bits", port)
        if kind == _DNS:
            self._push_of_kind("query", kind, size)
        elif kind == _PLAIN_UDP:
            self._push_of_kind("datagram", kind, size)
            self._push("opened", "port", port)

    def _push_of_kind(self, series: str, kind: int, size: int) -> None:
        """Put the size of a packet, which has not been counted yet, at the place of its number of a kind."""
        number = self.values[place(kind, "packets")]
        if number < PORTS:
            self.values[PLACE[f"{series}_{number}"]] = size

    def _add_tcp(self, data: bytes, headers: Headers, size: int, port: int) -> None:
        at = headers.behind
        if at + _TCP_HEADER_BYTES > len(data):
            return
        self._note("ports", "port_bits", port)
        flags, length = data[at + 13], (data[at + 12] >> 4) * 4
        self._count("fins", flags & _FIN)
        self._count("resets", flags >> 2 & 1)
        if headers.facts & IS_SYN:
            if not self._count("syns"):
                found = options.syn(data[at : at + options.TCP_BYTES])
                for name, value in found._asdict().items():
                    self.values[PLACE[f"syn_{name}"]] = value
            self._push("opened", "port", port)
        payload = min(_ip_end(data, headers.ip), size) - at - length
        if payload > 0:
            self._push("payloads", "payload", payload)

    def _add_request(self, data: bytes, at: int) -> None:
        if self._count("requests"):
            return
        begin = at + UDP_BYTES + BOOTP_BYTES
        found = options.asked(data[begin : begin + options.DHCP_BYTES])
        for name, value in found._asdict().items():
            self.values[PLACE[f"dhcp_{name}"]] = value


def size_bin(size: int) -> int:
    """Where a size is counted."""
    if size < SMALL:
        return size // SMALL_STEP
    return min(SMALL // SMALL_STEP + (size - SMALL) // STEP, SIZE_BINS - 1)


def bucket(word: int) -> int:
    """Which of 128 bits stands for a number of 32 bits: Fibonacci hashing (Knuth, 6.4)."""
    return (word * 0x9E3779B1 & 0xFFFFFFFF) >> 25


def _ip_end(data: bytes, at: int) -> int:
    """Where the IP packet at `at` ends, by its own length."""
    if data[at] >> 4 == 4:
        return at + _number(data, at + 2, 2)
    return at + 40 + _number(data, at + 4, 2)


def _ms(us: int) -> int:
    return us // 1000


def _number(data: Sequence[int], at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size])
