"""Rows of stations from frames: the plain-Python definition of what the kernel program computes.

A station is who sends probe requests or (re)association requests. Damaged frames and encrypted ones count
for nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from meshlens.classify.features import Sample
from meshlens.classify.truth import STATION, Row, of_station
from meshlens.classify.wifi_station.features import (
    CONTENT_BYTES,
    FEATURES,
    FIXED,
    MAX_ELEMENTS,
    SLOTS,
    block_place,
    element_key,
)
from meshlens.packet.capture import read_capture
from meshlens.packet.elements import EXTENSION, FIXED_BYTES
from meshlens.packet.ieee80211 import FCS_BYTES, KINDS, Dot11, Dot11Error, parse_dot11
from meshlens.packet.radiotap import Radiotap, RadiotapError, parse_radiotap
from meshlens.wifi.monitor.frame import IEEE80211, IEEE80211_RADIOTAP, MAX_RADIOTAP_BYTES
from meshlens.wifi.monitor.rate import LEGACY, rate_bytes

__all__ = ["HIGH_BAND_MHZ", "LINK_TYPES", "MAX_STATIONS", "REQUESTS", "TRUTH", "Row80211", "Stations", "read"]

LINK_TYPES: Final = (IEEE80211, IEEE80211_RADIOTAP)
#: The block that a kind of frame fills.
REQUESTS: Final = {"probe-req": 0, "assoc-req": 1, "reassoc-req": 1}
#: Channels from here on are not in the 2.4 GHz band.
HIGH_BAND_MHZ: Final = 4000
#: As many stations of one capture are told apart; further ones are left out.
MAX_STATIONS: Final = 65_536

_NOTHING_TOLD: Final = Radiotap(0, {})
_SLOT_OF: Final = {slot.key: number for number, slot in enumerate(SLOTS)}
_ASSOC_ELEMENTS: Final = block_place(1)


def read(path: str) -> Iterator[Sample]:
    """The stations of a capture file. Raises CaptureError where it is broken, after what stands before."""
    stations = Stations()
    try:
        with read_capture(path) as reader:
            for frame in reader:
                stations.add(frame.data, frame.wire_length, frame.link_type, frame.timestamp_ns)
    finally:
        yield from stations.samples(path)


class Stations:
    """The stations that were heard so far, by their addresses."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row80211] = {}

    def add(self, data: bytes, wire_length: int, link_type: int, time_ns: int) -> None:
        """Add a frame of `wire_length` bytes, of which `data` was captured."""
        if link_type not in LINK_TYPES:
            return
        try:
            tap = parse_radiotap(data) if link_type == IEEE80211_RADIOTAP else _NOTHING_TOLD
            header = parse_dot11(data, tap.length)
        except (RadiotapError, Dot11Error):
            return
        if header.kind not in REQUESTS or tap.damaged or tap.length > MAX_RADIOTAP_BYTES or header.protected:
            return
        mac = header.transmitter
        assert mac is not None
        row = self.rows.get(mac)
        if row is None:
            if len(self.rows) >= MAX_STATIONS:
                return
            row = self.rows[mac] = Row80211(mac, time_ns)
        row.add(data[: max(wire_length - FCS_BYTES * tap.fcs_at_end, 0)], tap, header)

    def samples(self, source: str) -> Iterator[Sample]:
        """All of them; `source` is where they were heard."""
        return (row.sample(source) for row in self.rows.values())


class Row80211:
    """The row of one station; `packets` are its requests."""

    __slots__ = ("first_ns", "mac", "packets", "values")

    def __init__(self, mac: bytes, first_ns: int = 0) -> None:
        self.mac, self.first_ns, self.packets = mac, first_ns, 0
        self.values = [0] * len(FEATURES)
        self.values[1] = int.from_bytes(mac[:3])
        self.values[2] = mac[0] >> 1 & 1

    def sample(self, source: str) -> Sample:
        """As a sample of a file or an interface."""
        return Sample(source, self.mac.hex(":"), self.first_ns, tuple(self.values), self.packets)

    def add(self, data: bytes, tap: Radiotap, header: Dot11) -> None:
        """Add a request, without its FCS."""
        self.packets += 1
        values, block = self.values, REQUESTS[header.kind]
        base = block_place(block)
        if tap.frequency is not None and not values[0]:
            values[0] = 1 + (tap.frequency >= HIGH_BAND_MHZ)
        field, rate, *_ = rate_bytes(tap)
        if field == LEGACY and not values[base + 2]:
            values[base + 2] = rate
        begin = tap.length + header.body
        if len(data) < begin + FIXED_BYTES[header.kind]:
            return
        elements, others = self._add_elements(data, begin + FIXED_BYTES[header.kind], base + 3)
        if block and not values[base]:
            values[-len(FIXED.bytes) :] = (data[begin + place] for _, place in FIXED.bytes)
        values[base] = max(values[base], elements)
        values[base + 1] = max(values[base + 1], others)

    def _add_elements(self, data: bytes, at: int, base: int) -> tuple[int, int]:
        """Fill the slots that are empty; returns how many elements there were, and those without slot."""
        new: dict[int, tuple[int, bytes]] = {}
        elements = others = 0
        while elements < MAX_ELEMENTS and at + 2 <= len(data):
            number, size = data[at], data[at + 1]
            content = data[at + 2 : at + 2 + size]
            at += 2 + size
            if at > len(data) or (number == EXTENSION and not size):
                break
            elements += 1
            found = _SLOT_OF.get(element_key(number, content))
            if found is None:
                others += 1
            else:
                new.setdefault(found, (elements, content))
        place = base
        for number, slot in enumerate(SLOTS):
            if number in new and not self.values[place]:
                order, content = new[number]
                padded = content[:CONTENT_BYTES].ljust(CONTENT_BYTES, b"\0")
                self.values[place : place + slot.features] = (
                    order, len(content), *(padded[byte] for _, byte in slot.bytes)
                )  # fmt: skip
            place += slot.features
        return elements, others


def _pair(samples: Sequence[Sample], rows: Sequence[Row]) -> Iterator[tuple[Row, Sample | None]]:
    """As for all stations; but a row that names none speaks of the station that associates, if one does."""
    joining = [sample for sample in samples if sample.values[_ASSOC_ELEMENTS]]
    for row, sample in of_station(samples, rows):
        named = any(row.get(column) for column in ("device_mac", "station_mac", "mac", "station"))
        yield row, sample if named or not joining else max(joining, key=lambda each: each.packets)


#: How stations meet the rows of a label file.
TRUTH: Final = replace(STATION, pair=_pair)
assert REQUESTS.keys() <= set(KINDS)
