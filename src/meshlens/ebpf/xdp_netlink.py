"""XDP as it is set by rtnetlink(7): for programs that were attached without a link."""

import struct
from typing import Final

from meshlens.ebpf.netlink import RtNetlink, attribute

__all__ = ["set_xdp"]

_RTM_SETLINK: Final = 19
_IFINFOMSG: Final = struct.Struct("=BxHiII")
_NESTED: Final = 0x8000
# include/uapi/linux/if_link.h
_IFLA_XDP: Final = 43
_XDP_FD, _XDP_FLAGS, _XDP_EXPECTED_FD = 1, 3, 8
_REPLACE: Final = 1 << 4
_MODES: Final = {"generic": 1 << 1, "native": 1 << 2, "offloaded": 1 << 3}


def set_xdp(netlink: RtNetlink, ifindex: int, program_fd: int, expected_fd: int, mode: str) -> None:
    """Put a program (-1: none) in the place of the expected one, without a gap; `mode` is that of the place.

    Raises OSError; EEXIST if another program is there by now.
    """
    nested = attribute(_XDP_FD, struct.pack("=i", program_fd))
    nested += attribute(_XDP_EXPECTED_FD, struct.pack("=i", expected_fd))
    nested += attribute(_XDP_FLAGS, struct.pack("=I", _MODES[mode] | _REPLACE))
    netlink.request(
        _RTM_SETLINK, _IFINFOMSG.pack(0, 0, ifindex, 0, 0) + attribute(_IFLA_XDP | _NESTED, nested)
    )
