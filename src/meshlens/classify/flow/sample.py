"""A flow as a row of numbers: the plain-Python definition that the program (`flow.program`) follows.

Which flow a packet belongs to, its size and its way are those of `meshlens flows`. Payload is what follows
the header of TCP, UDP or UDP-Lite and belongs to the IP packet: padding of Ethernet does not. Of payload
that a capture has cut off, the size is known but no byte.

Sources: RFC 791, 8200 (lengths, TTL and hop limit), 9293 (TCP), 768 and 3828 (UDP, UDP-Lite).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from meshlens.classify.features import MAX_VALUE, Sample, clip
from meshlens.classify.flow.features import (
    CONTENT_BYTES,
    DATA_PACKETS,
    END_FEATURES,
    FEATURES,
    KEPT_BYTES,
    LENGTH_PLACES,
    OTHER_PORTS,
    PACKETS,
    PLACE,
)
from meshlens.classify.truth import flow_name
from meshlens.packet.capture import CapturedFrame, CaptureError, read_capture
from meshlens.probes.flows.layout import IN_BATADV, Key
from meshlens.probes.flows.packet import TCP, Dissected, NotIp, Unreadable, dissect
from meshlens.probes.flows.record import flow_ends

__all__ = ["MAX_REST", "UDP_HEADERS", "FlowRow", "FlowRows", "PacketFacts", "name_of", "packet_facts", "read"]

#: UDP and UDP-Lite: bytes of the header.
UDP_HEADERS: Final = {17: 8, 136: 8}
#: A number is taken for a length if it leaves less than this of the payload.
MAX_REST: Final = 63

_ETHERNET, _ETHERNET_BYTES = 1, 14
_IPV6_BYTES: Final = 40
_TCP_HEADER_BYTES: Final = 20
_MSS: Final = b"\2\4"  # kind and length of the option


class PacketFacts(NamedTuple):
    """What one packet adds to its flow's row. Sizes in bytes; the last three are 0 without TCP."""

    size: int
    payload: int
    flags: int
    ttl: int
    tcp_header: int
    window: int
    mss: int
    content: bytes


@dataclass(slots=True)
class FlowRow:
    """A flow that grows; `way` is that of its first packet."""

    way: int
    first_ns: int
    packets: int = 0
    values: list[int] = field(default_factory=lambda: [0] * len(FEATURES))

    @classmethod
    def begin(cls, key: Key, way: int, time_ns: int) -> Self:
        """The row of a flow whose first packet goes this way."""
        row = cls(way, time_ns)
        ports = tuple(int.from_bytes(port) for port in (key.a_port, key.b_port))
        row._set("protocol", key.protocol)
        row._set("src_port", ports[way])
        row._set("dst_port", ports[1 - way])
        row._set("low_port", min(ports))
        row._set("service_port", OTHER_PORTS.get(min(ports), min(ports)))
        return row

    def add(self, way: int, time_ns: int, facts: PacketFacts) -> None:
        """Add one of the first packets."""
        self.packets += 1
        number, back = self.packets, way != self.way
        self._set(f"size_{number}", facts.size)
        self._set(f"payload_{number}", facts.payload)
        self._set(f"flags_{number}", facts.flags)
        if number > 1:
            self._set(f"way_{number}", 2 if back else 1)
            self._set(f"time_{number}", clip((time_ns - self.first_ns) // 1000))
        self._add_to_end(END_FEATURES if back else 0, facts)

    def _add_to_end(self, end: int, facts: PacketFacts) -> None:
        if not self._count("src_packets", end):
            self._set("src_ttl", facts.ttl, end)
            self._set("src_tcp_header", facts.tcp_header, end)
            self._set("src_window", facts.window, end)
            self._set("src_mss", facts.mss, end)
        if not facts.payload:
            return
        before = self._count("src_data_packets", end)
        self._count("src_data", end, facts.payload)
        if before < DATA_PACKETS:
            self._set(f"src_data_{before + 1}", facts.payload, end)
        if not before:
            self._look_at(facts, end)

    def _look_at(self, facts: PacketFacts, end: int) -> None:
        """What the first data of an end look like."""
        content = facts.content
        for number, value in enumerate(content[:KEPT_BYTES], 1):
            self._set(f"src_byte_{number}", value + 1, end)
        self._set("src_printable", sum(0x20 <= value < 0x7F for value in content), end)
        self._set("src_zeros", content.count(0), end)
        self._set("src_high", sum(value >= 0x80 for value in content), end)
        self._set("src_kinds", len({value >> 3 for value in content}), end)
        for place in LENGTH_PLACES:
            pair = content[place : place + 2]
            rest = facts.payload - int.from_bytes(pair)
            if len(pair) == 2 and 0 <= rest < MAX_REST:
                self._set(f"src_length_{place}", rest + 1, end)

    def _set(self, name: str, value: int, end: int = 0) -> None:
        self.values[PLACE[name] + end] = min(value, MAX_VALUE)

    def _count(self, name: str, end: int, amount: int = 1) -> int:
        """Add to a number; returns what it was before."""
        place = PLACE[name] + end
        before = self.values[place]
        self.values[place] += amount
        return before


def packet_facts(frame: CapturedFrame, packet: Dissected) -> PacketFacts:
    """What a frame of a flow adds to its row."""
    data, ip = frame.data, packet.ip
    before_ip = ip if frame.link_type == _ETHERNET else _ETHERNET_BYTES
    size = frame.wire_length - ip + before_ip
    is_ipv4 = data[ip] >> 4 == 4
    stated = int.from_bytes(data[ip + 2 : ip + 4] if is_ipv4 else data[ip + 4 : ip + 6])
    end = frame.wire_length
    if stated:  # else it is for the interface to say, which cuts it in packets
        end = min(ip + stated + (0 if is_ipv4 else _IPV6_BYTES), end)
    ttl = data[ip + 8] if is_ipv4 else data[ip + 7]
    tcp_header = window = mss = header = 0
    if packet.transport and packet.packet.key.protocol == TCP:
        tcp = data[packet.transport : packet.transport + _TCP_HEADER_BYTES + 4]
        if len(tcp) >= _TCP_HEADER_BYTES and (tcp[12] >> 4) * 4 >= _TCP_HEADER_BYTES:
            header = tcp_header = (tcp[12] >> 4) * 4
            window = int.from_bytes(tcp[14:16])
            if tcp_header > _TCP_HEADER_BYTES and tcp[20:22] == _MSS and len(tcp) == 24:
                mss = int.from_bytes(tcp[22:24])
    elif packet.transport:
        header = UDP_HEADERS.get(packet.packet.key.protocol, 0)
    begin = packet.transport + header
    payload = max(0, end - begin) if header else 0
    content = data[begin : begin + min(payload, CONTENT_BYTES)] if payload else b""
    return PacketFacts(size, payload, packet.packet.flags, ttl, tcp_header, window, mss, content)


def name_of(key: Key, way: int) -> str:
    """The name of a flow whose first packet went this way; it says whether frames of a mesh carry it."""
    return flow_name(*flow_ends(key, way)) + (" in batadv" if key.version & IN_BATADV else "")


class FlowRows:
    """The rows of all flows among the frames that were added, by at most so many `packets` of each."""

    def __init__(self, packets: int = PACKETS) -> None:
        self.packets = packets
        self._rows: dict[Key, FlowRow] = {}

    def add(self, frame: CapturedFrame) -> None:
        """Add a frame to the row of its flow, if it is in one."""
        try:
            packet = dissect(frame.data, frame.link_type)
        except (NotIp, Unreadable):
            return
        key, way, _ = packet.packet
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = FlowRow.begin(key, way, frame.timestamp_ns)
        if row.packets < self.packets:
            row.add(way, frame.timestamp_ns, packet_facts(frame, packet))

    def samples(self, file: str) -> Iterator[Sample]:
        """The flows, by their first packets, as those of `file`."""
        for key, row in self._rows.items():
            yield Sample(file, name_of(key, row.way), row.first_ns, tuple(row.values), row.packets)


def read(path: str | os.PathLike[str], packets: int = PACKETS) -> Iterator[Sample]:
    """The flows of a capture file, by their first `packets`, which are PACKETS at most.

    Raises CaptureError where the file is broken, after the flows before that place.
    """
    flows, broken = FlowRows(packets), None
    with read_capture(path) as reader:
        try:
            for frame in reader:
                flows.add(frame)
        except CaptureError as error:
            broken = error
    yield from flows.samples(os.fspath(path))
    if broken:
        raise broken
