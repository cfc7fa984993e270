"""Asking nl80211, and listening to what it tells unasked: generic netlink, and the numbers of nl80211.

Written by hand, as meshlens.ebpf.netlink is: pyroute2 takes 0.1 s and 20 MB to import, which is much for a
router, and knows neither the rates of 802.11be nor that noise has a sign. The numbers are those of
include/uapi/linux/nl80211.h, generic netlink's of include/uapi/linux/genetlink.h.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, Self

from meshlens.ebpf.netlink import NLM_F_DUMP, Netlink, attribute, attributes
from meshlens.errors import MeshlensError, NotSupported, PermissionDenied

__all__ = [
    "Attribute",
    "Attributes",
    "Command",
    "Listener",
    "Nl80211",
    "mac_text",
    "number",
    "signed",
    "u32",
]

#: The payloads of attributes by their number.
Attributes = dict[int, bytes]

_NETLINK_GENERIC: Final = 16
_GENL_ID_CTRL, _CTRL_CMD_GETFAMILY = 0x10, 3
_CTRL_FAMILY_ID, _CTRL_FAMILY_NAME, _CTRL_MCAST_GROUPS = 1, 2, 7
_MCAST_GROUP_NAME, _MCAST_GROUP_ID = 1, 2
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_HEADER: Final = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_GENL_HEADER: Final = struct.Struct("=BBxx")  # struct genlmsghdr: command, version
#: The interface went, is down, or is of a kind that has none.
_NOTHING: Final = (
    errno.ENODEV, errno.EOPNOTSUPP, errno.ENOENT, errno.ENETDOWN, errno.ENOLINK, errno.EINVAL,
)  # fmt: skip
_RECEIVE_BYTES, _BUFFER_BYTES = 1 << 16, 1 << 20


class Command(IntEnum):
    """enum nl80211_commands, as far as it is asked or heard here."""

    GET_WIPHY = 1
    GET_INTERFACE = 5
    NEW_INTERFACE = 7
    DEL_INTERFACE = 8
    START_AP = 15
    STOP_AP = 16
    GET_STATION = 17
    NEW_STATION = 19
    DEL_STATION = 20
    TRIGGER_SCAN = 33
    NEW_SCAN_RESULTS = 34
    SCAN_ABORTED = 35
    REG_CHANGE = 36
    AUTHENTICATE = 37
    ASSOCIATE = 38
    DEAUTHENTICATE = 39
    DISASSOCIATE = 40
    MICHAEL_MIC_FAILURE = 41
    REG_BEACON_HINT = 42
    JOIN_IBSS = 43
    CONNECT = 46
    ROAM = 47
    DISCONNECT = 48
    GET_SURVEY = 50
    NOTIFY_CQM = 64
    UNPROT_DEAUTHENTICATE = 70
    UNPROT_DISASSOCIATE = 71
    NEW_PEER_CANDIDATE = 72
    CH_SWITCH_NOTIFY = 88
    CONN_FAILED = 91
    RADAR_DETECT = 94
    CH_SWITCH_STARTED_NOTIFY = 110
    WIPHY_REG_CHANGE = 113
    PORT_AUTHORIZED = 125
    STA_OPMODE_CHANGED = 128


class Attribute(IntEnum):
    """enum nl80211_attrs, as far as it is read here."""

    WIPHY = 1
    IFINDEX = 3
    IFNAME = 4
    IFTYPE = 5
    MAC = 6
    STA_INFO = 21
    WIPHY_BANDS = 22
    SUPPORTED_IFTYPES = 32
    REG_ALPHA2 = 33
    WIPHY_FREQ = 38
    REG_INITIATOR = 48
    REG_TYPE = 49
    FRAME = 51
    SSID = 52
    REASON_CODE = 54
    TIMED_OUT = 65
    DISCONNECTED_BY_AP = 71
    STATUS_CODE = 72
    SURVEY_INFO = 84
    CQM = 94
    WIPHY_TX_POWER_LEVEL = 98
    CONN_FAILED_REASON = 155
    CHANNEL_WIDTH = 159
    RADAR_EVENT = 168
    SPLIT_WIPHY_DUMP = 174
    CH_SWITCH_COUNT = 183


class Nl80211:
    """A socket to ask by, in this network namespace. Raises NotSupported if the kernel has no nl80211."""

    def __init__(self) -> None:
        try:
            self._netlink = Netlink(_NETLINK_GENERIC)
        except OSError as error:
            raise _none(error) from error
        try:
            self._family, self.groups = _family(self._netlink)
        except BaseException:
            self._netlink.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the socket back."""
        self._netlink.close()

    def dump(self, command: Command, interface: int | None = None, *flags: Attribute) -> list[Attributes]:
        """What this command tells of all that is there, or of what belongs to the interface of this index.

        An interface that is gone meanwhile, or that has nothing of the kind, has nothing to tell: [].
        """
        body = b"" if interface is None else u32(Attribute.IFINDEX, interface)
        body += b"".join(attribute(flag, b"") for flag in flags)
        try:
            return self._request(command, body, NLM_F_DUMP)
        except OSError as error:
            if error.errno in _NOTHING:
                return []
            raise MeshlensError(f"nl80211, {command.name}: {error.strerror}") from error

    def do(self, command: int, body: bytes) -> list[Attributes]:
        """Have something done. Raises OSError with the kernel's own words."""
        return self._request(command, body)

    def _request(self, command: int, body: bytes, flags: int = 0) -> list[Attributes]:
        answers = self._netlink.request(self._family, _GENL_HEADER.pack(command, 0) + body, flags)
        return [attributes(answer[_GENL_HEADER.size :]) for answer in answers]


class Listener:
    """Hears what nl80211 tells to the members of its multicast `groups`, from now until `close`.

    `overruns` counts how often something was lost because nobody fetched it in time.
    """

    def __init__(self, groups: tuple[str, ...] = ("config", "scan", "regulatory", "mlme")) -> None:
        with Nl80211() as nl80211:
            wanted = [nl80211.groups[name] for name in groups if name in nl80211.groups]
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            for group in wanted:
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        except OSError as error:
            self._socket.close()
            if error.errno == errno.EPERM:
                raise PermissionDenied("cannot listen to nl80211: run as root") from error
            raise MeshlensError(f"cannot listen to nl80211: {os.strerror(error.errno or 0)}") from error
        self._socket.setblocking(False)
        self.overruns = 0

    def fileno(self) -> int:
        """To wait for: readable when there is something to `receive`."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def receive(self) -> Iterator[tuple[int, Attributes]]:
        """Commands and their attributes, as many as are there."""
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                continue
            yield from messages(data)


def messages(data: bytes) -> Iterator[tuple[int, Attributes]]:
    """The generic netlink messages of one datagram: command and attributes; what is cut off is left out."""
    while len(data) >= _HEADER.size + _GENL_HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if not _HEADER.size + _GENL_HEADER.size <= length <= len(data):
            return
        if kind >= _GENL_ID_CTRL:  # the lower ones are netlink's own: errors, ends of dumps
            command, _ = _GENL_HEADER.unpack_from(data, _HEADER.size)
            yield command, attributes(data[_HEADER.size + _GENL_HEADER.size : length])
        data = data[length + 3 & ~3 :]


def number(payload: bytes) -> int:
    """An unsigned number of any width."""
    return int.from_bytes(payload, sys.byteorder)


def signed(payload: bytes) -> int:
    """A signed number of any width."""
    return int.from_bytes(payload, sys.byteorder, signed=True)


def mac_text(payload: bytes) -> str:
    """An address as text."""
    return payload.hex(":")


def u32(kind: int, value: int) -> bytes:
    """An attribute of 32 bits."""
    return attribute(kind, struct.pack("=I", value))


def _family(netlink: Netlink) -> tuple[int, dict[str, int]]:
    """nl80211's number among the generic netlink families, and its multicast groups."""
    body = _GENL_HEADER.pack(_CTRL_CMD_GETFAMILY, 1) + attribute(_CTRL_FAMILY_NAME, b"nl80211\0")
    try:
        (answer,) = netlink.request(_GENL_ID_CTRL, body)
    except OSError as error:
        raise _none(error) from error
    told = attributes(answer[_GENL_HEADER.size :])
    groups = [attributes(each) for each in attributes(told.get(_CTRL_MCAST_GROUPS, b"")).values()]
    names = {each[_MCAST_GROUP_NAME].rstrip(b"\0").decode(): each[_MCAST_GROUP_ID] for each in groups}
    return number(told[_CTRL_FAMILY_ID]), {name: number(group) for name, group in names.items()}


def _none(error: OSError) -> NotSupported:
    why = "" if error.errno == errno.ENOENT else f" ({error.strerror})"
    return NotSupported(
        f"this kernel has no nl80211{why}: load a wireless driver, or `modprobe cfg80211`, or look at a "
        "monitor capture with --read"
    )
