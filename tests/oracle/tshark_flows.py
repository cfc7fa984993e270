"""What tshark finds in a capture file: packets and bytes by addresses, protocol and ports, one way each."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Conversations", "Ends", "conversations", "totals"]

#: Source, its port, destination, its port, IANA's protocol number.
Ends = tuple[str, int, str, int, int]

#: Each frame by itself: nothing is put together of fragments or segments.
_OPTIONS: Final = ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams")
#: IPv6 extension headers by number, and the field of each that says what follows it (RFC 8200, 4302, 6275).
_EXTENSIONS: Final = {
    0: "ipv6.hopopts.nxt", 43: "ipv6.routing.nxt", 44: "ipv6.fraghdr.nxt", 51: "ah.next_header",
    60: "ipv6.dstopts.nxt", 135: "mip6.proto",
}  # fmt: skip
_FRAGMENT: Final = 44
_WITH_PORTS: Final = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udp"}
_FIELDS: Final = (
    "frame.len", "frame.cap_len", "frame.protocols", "ip.src", "ip.dst", "ip.proto", "ip.frag_offset",
    "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.fraghdr.offset", *_EXTENSIONS.values(),
    *(f"{name}.{port}" for name in sorted(set(_WITH_PORTS.values())) for port in ("srcport", "dstport")),
)  # fmt: skip
_ETHERNET_BYTES: Final = 14
_BEFORE_IP: Final = {"eth", "ethertype", "vlan", "raw", "null", "sll"}


@dataclass(slots=True)
class Conversations:
    """Packets and bytes by ends; `unreadable` are frames that end before they have told their addresses. Of
    the packets some are `tagged`, some later `fragments`, some `ipv6`.
    """

    packets: Counter[Ends] = field(default_factory=Counter)
    bytes: Counter[Ends] = field(default_factory=Counter)
    unreadable: int = 0
    tagged: int = 0
    fragments: int = 0
    ipv6: int = 0


def conversations(path: Path) -> Conversations | None:
    """What tshark says of the outermost IP header of each frame; None for files that it cannot read."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "aggregator=,", "-E", "separator=/t"]
    for name in _OPTIONS:
        command += ["-o", f"{name}:FALSE"]
    for name in _FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode and not done.stdout:
        return None
    found = Conversations()
    for line in done.stdout.splitlines():
        columns = line.split("\t")
        told = {name: column.split(",") for name, column in zip(_FIELDS, columns, strict=True) if column}
        if "frame.protocols" in told:  # else a record of the file that is no frame
            _add(found, told)
    return found


def totals(path: Path) -> tuple[int, int] | None:
    """Frames and bytes of the file by tshark's own statistics; None for files that it cannot read."""
    command = ["tshark", "-q", "-n", "-r", str(path), "-z", "io,stat,0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    told = re.search(r"<>[^|]*\|\s*(\d+) \|\s*(\d+) \|", done.stdout)
    return (int(told[1]), int(told[2])) if told else None


def _add(found: Conversations, told: dict[str, list[str]]) -> None:
    names = told["frame.protocols"][0].split(":")
    outermost = next((name for name in names if name not in _BEFORE_IP), "")
    if outermost not in ("ip", "ipv6"):
        found.unreadable += names[0] == "eth" and int(told["frame.cap_len"][0]) < _ETHERNET_BYTES
        return
    if f"{outermost}.src" not in told or f"{outermost}.dst" not in told:
        found.unreadable += 1
        return
    protocol, first = _ipv4(told) if outermost == "ip" else _ipv6(told)
    ports, name = (0, 0), _WITH_PORTS.get(protocol)
    if first and name and f"{name}.srcport" in told:
        ports = int(told[f"{name}.srcport"][0]), int(told[f"{name}.dstport"][0])
    ends = told[f"{outermost}.src"][0], ports[0], told[f"{outermost}.dst"][0], ports[1], protocol
    found.packets[ends] += 1
    found.bytes[ends] += int(told["frame.len"][0])
    found.tagged += "vlan" in names[: names.index(outermost)]
    found.fragments += not first
    found.ipv6 += outermost == "ipv6"


def _ipv4(told: dict[str, list[str]]) -> tuple[int, bool]:
    """The protocol, and whether this is the first fragment."""
    return int(told["ip.proto"][0]), told["ip.frag_offset"][0] == "0"


def _ipv6(told: dict[str, list[str]]) -> tuple[int, bool]:
    """As _ipv4; the protocol is what follows the extension headers of the outermost packet."""
    protocol = int(told["ipv6.nxt"][0])
    while following := told.get(_EXTENSIONS.get(protocol, ""), []):
        fragment = protocol == _FRAGMENT
        protocol = int(following.pop(0))
        if fragment and told["ipv6.fraghdr.offset"].pop(0) != "0":
            return protocol, False
    return protocol, True
