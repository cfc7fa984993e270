"""What stations are called: by files of the administrator, by themselves, by the addresses they use.

Nobody is asked over the network, a name server least of all.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from meshlens.ebpf.netlink import RtNetlink
from meshlens.probes.stations.neighbours import IpAddress, neighbours

__all__ = ["StationNames", "addresses", "read_hosts", "read_macs"]

_ETC: Final = Path("/etc")
#: Files of lines "MAC name" (ethers(5)) or, with batctl, either way round.
_MAC_FILES: Final = ("bat-hosts", "ethers")

#: Neighbours that are gone keep their names until there are so many.
_MOST_KNOWN: Final = 10_000


class StationNames:
    """Names by address. The neighbour table is that of the network namespace in which this was made."""

    def __init__(self, etc: Path = _ETC) -> None:
        self._given: dict[str, str] = {}
        for file in _MAC_FILES:
            self._given |= read_macs(_text(etc / file))
        self._hosts = read_hosts(_text(etc / "hosts"))
        self._netlink = RtNetlink()
        self._known: dict[str, str] = {}

    def close(self) -> None:
        self._netlink.close()

    def refresh(self) -> None:
        """Read the neighbour table; if it changes faster than that, what is known stays."""
        with suppress(OSError):
            now = {mac: self._hosts.get(ip, ip) for mac, ip in addresses(self._netlink).items()}
            self._known = self._known | now if len(self._known) < _MOST_KNOWN else now

    def name(self, mac: str, calls_itself: str) -> str:
        """The name of a station: given, else how it calls itself, else by its IP address, else ""."""
        return self._given.get(mac) or calls_itself or self._known.get(mac, "")


def addresses(netlink: RtNetlink) -> dict[str, str]:
    """MAC -> IP address in the neighbour table; of several IPv4 goes first, link-local ones last.

    Raises OSError.
    """
    found: dict[str, IpAddress] = {}
    for mac, ip in neighbours(netlink):
        if mac not in found or _rank(ip) < _rank(found[mac]):
            found[mac] = ip
    return {mac: str(ip) for mac, ip in found.items()}


def _rank(ip: IpAddress) -> tuple[bool, bool, int]:
    return ip.version == 6, ip.is_link_local, int(ip)


def read_macs(text: str) -> dict[str, str]:
    """MAC -> name of lines "MAC name" or "name MAC"; other lines are passed over."""
    names = {}
    for words in _lines(text):
        if len(words) >= 2:
            for mac, name in (words[:2], words[1::-1]):
                octets = mac.lower().replace("-", ":").split(":")
                if len(octets) == 6 and all(_is_octet(each) for each in octets):
                    names[":".join(each.zfill(2) for each in octets)] = name
                    break
    return names


def _is_octet(text: str) -> bool:
    return 1 <= len(text) <= 2 and all(digit in "0123456789abcdef" for digit in text)


def read_hosts(text: str) -> Mapping[str, str]:
    """IP address -> first name, of lines as in hosts(5)."""
    return {words[0]: words[1] for words in _lines(text) if len(words) >= 2}


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield words


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
