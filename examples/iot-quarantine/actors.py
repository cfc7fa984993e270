"""Who sends and listens in the lab; each is a process of its own."""

import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, Final

from lab import COMPUTER, INTERNET, INTERNET_MAC

from meshlens.classify.ethernet_station.features import WINDOW, asks
from meshlens.classify.ethernet_station.sample import Entry
from meshlens.packet.craft import ip_frame, udp

__all__ = [
    "PROBES_PER_S",
    "bulk_frame",
    "echo",
    "flood",
    "measure_latency",
    "recognise_in_user_space",
    "replay",
]

PROBES_PER_S: Final = 100
_PORT: Final = 7007
_BULK_BYTES: Final = 1200
_ETH_P_ALL: Final = 3
_OUTGOING: Final = 4  # PACKET_OUTGOING, linux/if_packet.h
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
#: What a packet socket holds while nobody reads: libpcap's default (2 MiB).
_BUFFER_BYTES: Final = 2 << 20


def _link(interface: str) -> socket.socket:
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.bind((interface, 0))
    return link


def replay(interface: str, events: Sequence[tuple[float, bytes]]) -> None:
    """Send each frame when its time has come: (seconds from now, frame), in order."""
    with _link(interface) as link:
        begin = time.monotonic()
        for at_s, data in events:
            wait = begin + at_s - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            link.send(data)


def bulk_frame(mac: str, number: int) -> bytes:
    """What a device sends that has much to say: an upload to the internet."""
    return ip_frame(mac, udp(f"10.77.1.{number}", INTERNET, 40_000, 9, bytes(_BULK_BYTES)), INTERNET_MAC)


def flood(interface: str, frames: Sequence[bytes], rate_pps: float, seconds: float) -> None:
    """Send the frames in turn, in steps of some milliseconds."""
    with _link(interface) as link:
        begin, sent = time.monotonic(), 0
        while (passed := time.monotonic() - begin) < seconds:
            while sent < passed * rate_pps:
                link.send(frames[sent % len(frames)])
                sent += 1
            time.sleep(0.002)


def echo() -> None:
    """Answer probes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind((INTERNET, _PORT))
        while True:
            data, sender = link.recvfrom(2048)
            link.sendto(data, sender)


def measure_latency(seconds: float, results: Any) -> None:
    """The protected flow: a small packet now and then, like a call; puts a list of (seconds, ms or None)."""
    rtts: dict[int, tuple[float, float | None]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind((COMPUTER, 0))
        link.connect((INTERNET, _PORT))
        link.settimeout(0.001)
        begin = time.monotonic()
        while (now := time.monotonic() - begin) < seconds + 1:  # a second for those that are late
            if now < seconds and len(rtts) <= now * PROBES_PER_S:
                rtts[len(rtts)] = now, None
                link.send(struct.pack("=Id", len(rtts) - 1, time.monotonic()) + bytes(160))
            try:
                number, sent = struct.unpack_from("=Id", link.recv(2048))
            except OSError:
                continue
            rtts[number] = rtts[number][0], 1000 * (time.monotonic() - sent)
    results.put(list(rtts.values()))


def recognise_in_user_space(
    interface: str, forest: Any, kept: list[int], seconds: float, results: Any
) -> None:
    """The same work without the kernel: a packet socket, the same rows, scikit-learn's forest.

    `kept`: the features of the model. Puts packets, verdicts, packets lost, CPU seconds.
    """
    entries: dict[bytes, Entry] = {}
    packets = verdicts = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as link:
        link.setsockopt(socket.SOL_SOCKET, 33, _BUFFER_BYTES)  # SO_RCVBUFFORCE
        link.bind((interface, _ETH_P_ALL))
        link.settimeout(0.2)
        begin, cpu = time.monotonic(), time.process_time()
        while time.monotonic() - begin < seconds:
            try:
                data, address = link.recvfrom(2048)
            except TimeoutError:
                continue
            packets += 1
            if address[2] == _OUTGOING or data[6] & 1:
                continue
            mac = data[6:12]
            entry = entries.get(mac) or entries.setdefault(mac, Entry(mac, time.time_ns()))
            if entry.packets < WINDOW and entry.add(data, len(data), time.time_ns()) and asks(entry.packets):
                forest.votes([[entry.row[place] for place in kept]])
                verdicts += 1
        cpu = time.process_time() - cpu
        lost = struct.unpack("=II", link.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
    results.put((packets, verdicts, lost, cpu))
