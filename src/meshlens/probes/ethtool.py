"""What a driver says of an interface: its own name, and the speed of the link (linux/ethtool.h)."""

import array
import fcntl
import socket
import struct
from typing import Final

__all__ = ["driver_of", "speed_of"]

_SIOCETHTOOL: Final = 0x8946
_GET_SETTINGS, _GET_DRIVER = 0x1, 0x3  # ETHTOOL_GSET, ETHTOOL_GDRVINFO
_SETTINGS_BYTES, _DRIVER_BYTES = 44, 196  # struct ethtool_cmd, ethtool_drvinfo
_SPEED_AT, _SPEED_HIGH_AT = 12, 28  # 16 bits each, in units of 10^6 bits/s
_UNKNOWN_SPEED: Final = 0xFFFFFFFF
_NAME = slice(4, 36)


def driver_of(interface: str) -> str:
    """The name of the driver, as in "veth"; "" where it does not tell."""
    answer = _ask(interface, _GET_DRIVER, _DRIVER_BYTES)
    return answer[_NAME].split(b"\0")[0].decode(errors="replace") if answer else ""


def speed_of(interface: str) -> int | None:
    """The speed of the link in bits a second; None where it has none, or the driver does not tell."""
    answer = _ask(interface, _GET_SETTINGS, _SETTINGS_BYTES)
    if answer is None:
        return None
    (low,), (high,) = (struct.unpack_from("=H", answer, at) for at in (_SPEED_AT, _SPEED_HIGH_AT))
    speed = high << 16 | low
    return speed * 1_000_000 if speed not in {0, 0xFFFF, _UNKNOWN_SPEED} else None


def _ask(interface: str, command: int, size: int) -> bytes | None:
    answer = array.array("B", struct.pack("=I", command).ljust(size, b"\0"))
    request = struct.pack("16sP", interface.encode(errors="surrogateescape"), answer.buffer_info()[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCETHTOOL, request.ljust(40, b"\0"))
    except OSError:
        return None
    return answer.tobytes()
