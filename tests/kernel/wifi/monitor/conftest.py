"""A monitor interface without a radio: a tun device that says it carries radiotap, in a namespace of its own.

The tun driver lets its owner name any ARPHRD_ number (TUNSETIFF, TUNSETLINK of linux/if_tun.h). What is
written into it, the kernel receives as from a driver.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.kernel.conftest import NetNs, make_netns_pair

_TUNSETIFF, _TUNSETLINK = 0x400454CA, 0x400454CD
_IFF_TUN, _IFF_VNET_HDR = 0x0001, 0x4000
_RADIOTAP, _PLAIN = 803, 801  # ARPHRD_IEEE80211_RADIOTAP, ARPHRD_IEEE80211
#: Flags and protocol (ETH_P_802_2), as struct tun_pi has them.
_PACKET_INFORMATION = struct.pack("!HH", 0, 4)


class Radio:
    """A monitor interface, up; `hear` lets it receive frames, with radiotap in front unless `plain`."""

    def __init__(self, netns: NetNs, name: str = "mon0", *, plain: bool = False) -> None:
        self.netns, self.name = netns, name
        self._fd = netns.run(lambda: self._open(_PLAIN if plain else _RADIOTAP))
        netns.shell("ip", "link", "set", name, "up")

    def _open(self, hardware: int) -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", self.name.encode(), _IFF_TUN | _IFF_VNET_HDR))
        fcntl.ioctl(fd, _TUNSETLINK, hardware)
        return fd

    def hear(self, *frames: bytes, linear_bytes: int = 0) -> None:
        """`linear_bytes`: so many of a long frame (more than a page) are in the linear part of its skb."""
        head = _PACKET_INFORMATION + struct.pack("=BBHHHH", 0, 0, linear_bytes, 0, 0, 0)
        for frame in frames:
            os.write(self._fd, head + frame)

    def close(self) -> None:
        """The interface goes away."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def netns() -> Iterator[NetNs]:
    """A namespace in which nothing happens by itself."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    if not Path("/dev/net/tun").exists():
        pytest.skip("no /dev/net/tun")
    with make_netns_pair() as pair:
        yield pair.near


@pytest.fixture
def radio(netns: NetNs) -> Iterator[Radio]:
    """A monitor interface, mon0."""
    with Radio(netns) as made:
        yield made
