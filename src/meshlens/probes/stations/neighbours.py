"""Which IP addresses a MAC address has, as far as this machine knows: its neighbour tables and its own."""

import ipaddress
import struct
from collections.abc import Iterator
from typing import Final

from meshlens.ebpf.netlink import NLM_F_DUMP, RtNetlink, attributes
from meshlens.probes.interfaces import list_interfaces

__all__ = ["IpAddress", "addresses_by_mac", "link_local_of", "neighbours"]

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_RTM_GETADDR, _RTM_GETNEIGH = 22, 30
_ADDRESS: Final = struct.Struct("=BBBBi")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, index, state, flags, type
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_NDA_DST, _NDA_LLADDR = 1, 2
_ADDRESS_BYTES: Final = (4, 16)
#: States in which an address is only being asked for, or did not answer: NUD_INCOMPLETE, NUD_FAILED.
_UNANSWERED: Final = 0x01 | 0x20


def addresses_by_mac() -> dict[str, set[str]]:
    """The IPv4 and IPv6 addresses of each MAC address that is known. Raises OSError."""
    found: dict[str, set[str]] = {}
    with RtNetlink() as netlink:
        for mac, address in (*neighbours(netlink), *_own(netlink)):
            found.setdefault(mac, set()).add(str(address))
    return found


def link_local_of(mac: str) -> str:
    """The IPv6 link-local address that is made of a MAC address (RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    modified = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + modified))


def neighbours(netlink: RtNetlink) -> Iterator[tuple[str, IpAddress]]:
    """MAC and IP addresses of the neighbour tables, those that have answered. Raises OSError."""
    for answer in netlink.request(_RTM_GETNEIGH, _NEIGHBOUR.pack(0, 0, 0, 0, 0), NLM_F_DUMP):
        _, _, state, _, _ = _NEIGHBOUR.unpack_from(answer)
        told = attributes(answer[_NEIGHBOUR.size :])
        mac, address = told.get(_NDA_LLADDR, b""), told.get(_NDA_DST, b"")
        if len(mac) == 6 and len(address) in _ADDRESS_BYTES and not state & _UNANSWERED:
            yield mac.hex(":"), ipaddress.ip_address(address)


def _own(netlink: RtNetlink) -> Iterator[tuple[str, IpAddress]]:
    macs = {each.index: each.mac for each in list_interfaces()}
    for answer in netlink.request(_RTM_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0), NLM_F_DUMP):
        *_, index = _ADDRESS.unpack_from(answer)
        told = attributes(answer[_ADDRESS.size :])
        # Of a point-to-point link IFA_ADDRESS is the other end's.
        address = told.get(_IFA_LOCAL) or told.get(_IFA_ADDRESS, b"")
        if len(address) in _ADDRESS_BYTES and macs.get(index):
            yield macs[index], ipaddress.ip_address(address)
