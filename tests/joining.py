"""Stations that join a network, made up and recorded; rows of the kernel beside rows of the definition."""

import random
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from meshlens.classify.kernel.entry import SAMPLES, Head, unpack_row
from meshlens.classify.wifi_station.features import SLOTS, VENDOR
from meshlens.classify.wifi_station.layout import fill
from meshlens.classify.wifi_station.program import station_program
from meshlens.classify.wifi_station.sample import REQUESTS, Stations
from meshlens.ebpf import Program
from meshlens.packet.capture import read_capture
from meshlens.packet.craft_wifi import dot11, element, radiotap
from meshlens.packet.elements import EXTENSION
from meshlens.packet.ieee80211 import KINDS, HeaderFlag
from meshlens.packet.radiotap import RxFlag, Tap, parse_radiotap

__all__ = [
    "CAPTURES",
    "STATION",
    "definition",
    "frames_of",
    "hostile",
    "is_request",
    "kernel_rows",
    "loaded",
    "request",
]

#: Captures that are shipped with the tests.
CAPTURES = sorted((Path(__file__).parent / "captures" / "wifi").glob("*.pcap"))
STATION = "02:aa:bb:00:00:01"
_AP = "02:00:00:00:00:fe"

#: A row and the number of requests behind it, by station.
Rows = dict[str, tuple[tuple[int, ...], int]]


def loaded(link_type: int = 127, *, max_stations: int = 64) -> Program:
    """The program, ready for frames."""
    program = station_program("in", max_entries=max_stations, link_type=link_type).load()
    fill(program.maps)
    return program


def frames_of(path: Path) -> list[bytes]:
    """The frames of a capture."""
    with read_capture(path) as reader:
        return [frame.data for frame in reader]


def is_request(data: bytes) -> bool:
    """Whether a frame with radiotap is a probe or association request."""
    at = parse_radiotap(data).length
    return len(data) > at and KINDS[data[at] >> 2] in REQUESTS


def definition(frames: Iterable[bytes], link_type: int = 127) -> Rows:
    """What the frames come to by the definition."""
    stations = Stations()
    for data in frames:
        stations.add(data, len(data), link_type, 1)
    return {each.name: (each.values, each.packets) for each in stations.samples("")}


def kernel_rows(program: Program, frames: Iterable[bytes]) -> Rows:
    """What they come to in the kernel, which then is empty again."""
    for data in frames:
        program.test_run(data)
    samples = program.maps[SAMPLES]
    found = dict(samples.items())
    for key in found:
        samples.delete(key)
    return {key.hex(":"): (unpack_row(value), Head.unpack(value).packets) for key, value in found.items()}


def request(
    elements: bytes,
    kind: str = "probe-req",
    *,
    flags: int = 0,
    station: str = STATION,
    **tap: int | tuple[int, ...],
) -> bytes:
    """A request with these elements, behind what a kind has before them and radiotap."""
    fixed = {"probe-req": b"", "assoc-req": b"\x31\x04\x0a\x00"}.get(kind, b"\x31\x04\x0a\x00" + bytes(6))
    return radiotap(**tap) + dot11(kind, _AP, station, _AP, fixed + elements, flags=flags)


def hostile(count: int, seed: int) -> Iterator[bytes]:
    """Requests whose elements are twice there, too many, cut off or lie, some not even whole."""
    rng = random.Random(seed)
    for _ in range(count):
        elements = b"".join(_element(rng) for _ in range(rng.choice((0, 1, 5, 15, 64, 65, 80))))
        if rng.random() < 0.3:
            elements = elements[: rng.randrange(len(elements) + 1)]
        flags = rng.choice((0, 0, 0, HeaderFlag.ORDER, HeaderFlag.PROTECTED, HeaderFlag.RETRY))
        tap: dict[str, int] = {}
        if rng.random() < 0.5:
            tap["flags"] = rng.choice((0, Tap.FCS_AT_END, Tap.FCS_AT_END | Tap.BAD_FCS, Tap.SHORT_PREAMBLE))
        if rng.random() < 0.5:
            tap["rate"] = rng.choice((0, 2, 12))
        if rng.random() < 0.1:
            tap["rx_flags"] = RxFlag.BAD_PLCP
        channel = {"channel": (rng.choice((0, 2437, 5180)), 0)} if rng.random() < 0.5 else {}
        kind = rng.choice(("probe-req", "assoc-req", "reassoc-req", "auth", "qos-data", "ack"))
        data = bytearray(request(elements, kind, flags=flags, station=f"{STATION[:-1]}{rng.randrange(4)}"))
        data = bytearray(radiotap(**tap, **channel)) + data[len(radiotap()) :]
        if rng.random() < 0.2:
            data = data[: rng.randrange(14, len(data) + 1)]
        if rng.random() < 0.2:
            data[rng.randrange(len(data))] = rng.randrange(256)
        if 14 <= len(data) < 3800 and bytes(data[12:14]) not in (b"\x08\x00", b"\x86\xdd"):
            yield bytes(data)


def _element(rng: random.Random) -> bytes:
    """Mostly one that counts, with any content."""
    size = rng.choice((0, 1, 3, 4, 8, 26, 31, 32, 33, 40))
    content = rng.randbytes(size)
    if rng.random() < 0.2:
        return element(rng.choice((0, VENDOR, EXTENSION, 255, rng.randrange(256))), content)
    slot = rng.choice(SLOTS)
    number, more = slot.key & 0xFF, slot.key >> 8
    begin = struct.pack(">I", more) if number == VENDOR else bytes([more]) if number == EXTENSION else b""
    return element(number, begin + content)
