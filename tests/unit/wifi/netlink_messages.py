"""Messages of nl80211, made up: attributes by number, as the kernel lays them out."""

import struct

from meshlens.ebpf.netlink import attribute
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes

#: A payload, an unsigned number with its width in bytes (negative: a signed one), nothing, or further ones.
Value = bytes | tuple[int, int] | None | dict[int, "Value"]

AP, STATION = bytes.fromhex("020000000000"), bytes.fromhex("020000000100")


def payload(value: Value) -> bytes:
    match value:
        case None:
            return b""
        case bytes():
            return value
        case dict():
            return b"".join(attribute(kind, payload(each)) for kind, each in value.items())
        case number, width:
            code = {1: "b", 2: "h", 4: "i", 8: "q"}[width]
            return struct.pack(f"={code if number < 0 else code.upper()}", number)
    raise AssertionError(value)


def told(values: dict[int, Value]) -> Attributes:
    return {int(kind): payload(value) for kind, value in values.items()}


def datagram(command: int, values: dict[int, Value], family: int = 30) -> bytes:
    """A message as it comes from the socket."""
    body = struct.pack("=BBxx", command, 1) + payload({int(kind): each for kind, each in values.items()})
    return struct.pack("=IHHII", 16 + len(body), family, 0, 0, 0) + body


def station(values: dict[int, Value], mac: bytes = STATION) -> Attributes:
    """A station's entry of a dump."""
    return told({Attribute.IFINDEX: (3, 4), Attribute.MAC: mac, Attribute.STA_INFO: values})
