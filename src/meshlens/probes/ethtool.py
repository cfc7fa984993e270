"""What a driver says of an interface: its own name, the speed of the link, its counters (linux/ethtool.h)."""

import array
import fcntl
import socket
import struct
from types import TracebackType
from typing import Final, Self

__all__ = ["Ethtool", "driver_of", "speed_of"]

_SIOCETHTOOL: Final = 0x8946
# ETHTOOL_GSET, _GDRVINFO, _GSTRINGS, _GSTATS
_GET_SETTINGS, _GET_DRIVER, _GET_STRINGS, _GET_STATISTICS = 0x1, 0x3, 0x1B, 0x1D
_SETTINGS_BYTES, _DRIVER_BYTES = 44, 196  # struct ethtool_cmd, ethtool_drvinfo
_SPEED_AT, _SPEED_HIGH_AT = 12, 28  # 16 bits each, in units of 10^6 bits/s
_UNKNOWN_SPEED: Final = 0xFFFFFFFF
_NAME = slice(4, 36)
_COUNTERS_AT: Final = 180  # drvinfo's n_stats
_STATISTICS_NAMES: Final = 1  # ETH_SS_STATS
_STRING_BYTES: Final = 32
#: Room for counters that appeared since they were counted: the kernel writes as many as there are.
_SPARE: Final = 1024


class Ethtool:
    """Asks drivers, from the network namespace in which it was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def driver(self, interface: str) -> str:
        """The name of the driver, as in "veth"; "" where it does not tell."""
        answer = self._ask(interface, _GET_DRIVER, _DRIVER_BYTES)
        return _text(answer[_NAME]) if answer else ""

    def speed(self, interface: str) -> int | None:
        """The speed of the link in bits a second; None where it has none, or the driver does not tell."""
        answer = self._ask(interface, _GET_SETTINGS, _SETTINGS_BYTES)
        if answer is None:
            return None
        (low,), (high,) = (struct.unpack_from("=H", answer, at) for at in (_SPEED_AT, _SPEED_HIGH_AT))
        speed = high << 16 | low
        return speed * 1_000_000 if speed not in {0, 0xFFFF, _UNKNOWN_SPEED} else None

    def counter_names(self, interface: str) -> tuple[str, ...]:
        """The names of the driver's own counters, as `ethtool -S` lists them; none where it has none."""
        count = self._counters(interface)
        size = 12 + (count + _SPARE) * _STRING_BYTES
        answer = self._ask(interface, _GET_STRINGS, size, _STATISTICS_NAMES, count) if count else None
        if answer is None:
            return ()
        (told,) = struct.unpack_from("=I", answer, 8)
        starts = range(12, 12 + min(told, count) * _STRING_BYTES, _STRING_BYTES)
        return tuple(_text(answer[at : at + _STRING_BYTES]) for at in starts)

    def counters(self, interface: str) -> tuple[int, ...]:
        """The values of the driver's counters, in the order of their names."""
        count = self._counters(interface)
        answer = self._ask(interface, _GET_STATISTICS, 8 + (count + _SPARE) * 8, count) if count else None
        if answer is None:
            return ()
        (told,) = struct.unpack_from("=I", answer, 4)
        return struct.unpack_from(f"={min(told, count)}Q", answer, 8)

    def _counters(self, interface: str) -> int:
        answer = self._ask(interface, _GET_DRIVER, _DRIVER_BYTES)
        return int(struct.unpack_from("=I", answer, _COUNTERS_AT)[0]) if answer else 0

    def _ask(self, interface: str, command: int, size: int, *more: int) -> bytes | None:
        words = struct.pack(f"={1 + len(more)}I", command, *more)
        answer = array.array("B", words.ljust(size, b"\0"))
        request = struct.pack("16sP", interface.encode(errors="surrogateescape"), answer.buffer_info()[0])
        try:
            fcntl.ioctl(self._socket, _SIOCETHTOOL, request.ljust(40, b"\0"))
        except OSError:
            return None
        return answer.tobytes()


def driver_of(interface: str) -> str:
    """The name of the driver, as in "veth"; "" where it does not tell."""
    with Ethtool() as ethtool:
        return ethtool.driver(interface)


def speed_of(interface: str) -> int | None:
    """The speed of the link in bits a second; None where it has none, or the driver does not tell."""
    with Ethtool() as ethtool:
        return ethtool.speed(interface)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="replace")
