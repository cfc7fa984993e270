"""Made-up devices, for whoever has no captures: a few types, each with its own way to join a network.

No real device is meant. Every run of a type differs in what differs in life: pauses, transaction numbers,
source ports, how often something is said again.
"""

import csv
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from meshlens.packet.capture import CapturedFrame, write_pcap
from meshlens.packet.craft import arp, ethernet, igmp, ip_frame, mac, tcp, udp

__all__ = ["write_captures"]

RUNS: Final = 10
_SERVER: Final = "10.77.0.1"
_ALL: Final = "ff:ff:ff:ff:ff:ff"
_GATEWAY: Final = "02:00:00:00:77:01"
_ARP, _EAPOL, _IGMP_V2 = 0x0806, 0x888E, 0x16
_SYN, _PUSH = 0x02, 0x18
#: MSS; MSS and window scale; MSS, SACK, timestamps, window scale: as small stacks and Linux write them.
_SMALL = bytes((2, 4, 5, 180))
_SCALED = bytes((2, 4, 5, 180, 1, 3, 3, 2))
_FULL = bytes((2, 4, 5, 180, 4, 2, 8, 10)) + bytes(8) + bytes((1, 3, 3, 6))


@dataclass(frozen=True)
class Kind:
    """A type of device. `asks`: what its DHCP client asks for; `talks`: (port, bytes, how often) over TCP,
    `tells`: the same in UDP to all; `names`: how long the names are that it looks up.
    """

    name: str
    asks: bytes
    vendor: bytes
    syn: bytes
    window: int
    ttl: int
    talks: tuple[tuple[int, int, int], ...]
    tells: tuple[tuple[int, int, int], ...]
    names: tuple[int, ...]
    groups: bool = False
    pause_s: float = 0.2


KINDS: Final = (
    Kind("Camera", bytes((1, 3, 6, 15, 28)), b"udhcp 1.20", _FULL, 5840, 64,
         ((443, 517, 3), (443, 230, 5)), ((1900, 310, 4),), (18, 24), groups=True),
    Kind("Plug", bytes((1, 3, 6)), b"", _SMALL, 2920, 128,
         ((8886, 120, 4),), ((9999, 60, 3),), (16,), pause_s=0.4),
    Kind("Bulb", bytes((1, 28, 3, 6)), b"", _SMALL, 5744, 255, ((8883, 93, 3),), ((5683, 42, 6),), (21,)),
    Kind("Hub", bytes((1, 33, 3, 6, 15, 26, 28)), b"dhcpcd-5.5", _FULL, 14600, 64,
         ((80, 340, 3), (443, 517, 4)), ((5353, 180, 5), (1900, 270, 3)), (14, 19, 26), groups=True),
    Kind("Scale", bytes((1, 3, 6, 12, 15)), b"", _SCALED, 8192, 100, ((80, 610, 2),), (), (20, 22)),
    Kind("Speaker", bytes((1, 3, 6, 12, 15, 17, 28)), b"dhcpcd 6.9:Linux", _FULL, 29200, 64,
         ((443, 289, 6), (4070, 77, 4)), ((5353, 240, 6),), (23, 28), groups=True, pause_s=0.1),
)  # fmt: skip


def write_captures(directory: Path, seed: int = 1) -> None:
    """Captures of all types, and their labels, as `meshlens classify train` reads them."""
    rows = []
    for number, kind in enumerate(KINDS, 1):
        address = f"02:00:00:00:{number:02x}:10"
        for run in range(1, RUNS + 1):
            name = f"{kind.name}-{run}.pcap"
            frames = _run(kind, address, f"10.77.0.{100 + number}", Random(f"{seed}/{name}"))
            write_pcap(directory / name, frames)
            rows.append({"file": name, "type": kind.name, "device_mac": address, "seq": run})
    with (directory / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "type", "device_mac", "seq"])
        writer.writeheader()
        writer.writerows(rows)


def _run(kind: Kind, address: str, own: str, chance: Random) -> Iterator[CapturedFrame]:
    """What the device sends, from the time that it joins on."""
    now_ns = 1_600_000_000 * 10**9 + chance.randrange(10**12)
    for pause_s, data in _join(kind, address, own, chance):
        now_ns += int(pause_s * chance.uniform(0.6, 1.6) * 1e9)
        yield CapturedFrame(data, len(data), now_ns, 0, 1, None)


def _join(kind: Kind, address: str, own: str, chance: Random) -> Iterator[tuple[float, bytes]]:
    """(seconds to wait, frame) one after another."""
    for size in (121, 99):
        yield 0.005, ethernet(_GATEWAY, address, _EAPOL, bytes((1, 3, 0, size - 4)) + bytes(size - 4))
    for message in (1, 3):
        for _ in range(1 + (chance.random() < 0.2)):
            yield kind.pause_s, _dhcp(kind, address, message, own, chance)
    for target in (own, own, _SERVER):
        source = "0.0.0.0" if target == own else own  # noqa: S104  (an address on the wire, no socket)
        yield 0.1, ethernet(_ALL, address, _ARP, arp(1, address, source, "00:00:00:00:00:00", target))
    if kind.groups:
        group = "239.255.255.250"
        yield 0.2, ip_frame(address, igmp(own, group, _IGMP_V2, group))
    for length in kind.names:
        question = (
            chance.randbytes(2) + bytes((1, 0, 0, 1)) + bytes(6) + b"x" * length + bytes((0, 0, 1, 0, 1))
        )
        yield kind.pause_s, _to(address, udp(own, _SERVER, 3072, 53, question, hop_limit=kind.ttl))
    for number, (port, size, times) in enumerate(kind.talks):
        ends = own, f"192.0.2.{10 * number + 1}", chance.randrange(32_768, 61_000), port
        yield kind.pause_s, _to(address, tcp(*ends, flags=_SYN, options=kind.syn, window=kind.window))
        yield 0.03, _to(address, tcp(*ends))
        for _ in range(times + chance.randrange(2)):
            payload = bytes(size + chance.randrange(3))
            yield 0.05, _to(address, tcp(*ends, payload, flags=_PUSH))
            yield 0.03, _to(address, tcp(*ends))
    for port, size, times in kind.tells:
        for _ in range(times + chance.randrange(2)):
            packet = udp(own, "255.255.255.255", port, port, bytes(size), hop_limit=kind.ttl)
            yield kind.pause_s, ethernet(_ALL, address, 0x0800, packet)


def _to(address: str, packet: bytes) -> bytes:
    return ip_frame(address, packet, _GATEWAY)


def _dhcp(kind: Kind, address: str, message: int, own: str, chance: Random) -> bytes:
    """A request with this type's options in this type's order (RFC 2131)."""
    header = bytes((1, 1, 6, 0)) + chance.randbytes(4) + bytes(20) + mac(address).to_bytes(6) + bytes(202)
    options = bytes((53, 1, message, 55, len(kind.asks))) + kind.asks
    if kind.vendor:
        options += bytes((60, len(kind.vendor))) + kind.vendor
    if message > 1:
        options += bytes((50, 4)) + ipaddress.IPv4Address(own).packed
    payload = header + bytes((99, 130, 83, 99)) + options + b"\xff"
    packet = udp("0.0.0.0", "255.255.255.255", 68, 67, payload, hop_limit=kind.ttl)  # noqa: S104
    return ethernet(_ALL, address, 0x0800, packet)
