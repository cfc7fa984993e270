"""What kernel and driver tell of an interface: frames that were lost, verdicts of XDP programs, speed."""

import struct
from typing import Final

from meshlens.ebpf.netlink import NLM_F_DUMP, RtNetlink, attributes
from meshlens.probes.ethtool import Ethtool
from meshlens.probes.traffic.verdicts import verdicts_of

__all__ = ["LinkCounters"]

_RTM_GETLINK: Final = 18
_IFLA_STATS64: Final = 23
_LINK: Final = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, changed flags

# The members of struct rtnl_link_stats64 in their order, up to the last one that this knows; older kernels
# have fewer.
_MEMBERS: Final = (
    "rx_packets tx_packets rx_bytes tx_bytes rx_errors tx_errors rx_dropped tx_dropped multicast collisions "
    "rx_length_errors rx_over_errors rx_crc_errors rx_frame_errors rx_fifo_errors rx_missed_errors "
    "tx_aborted_errors tx_carrier_errors tx_fifo_errors tx_heartbeat_errors tx_window_errors rx_compressed "
    "tx_compressed rx_nohandler rx_otherhost_dropped"
).split()
_NOT_LOST: Final = frozenset(
    "rx_packets tx_packets rx_bytes tx_bytes multicast rx_compressed tx_compressed".split()
)


class LinkCounters:
    """Asks in the network namespace in which it was made."""

    def __init__(self) -> None:
        self._netlink, self._ethtool = RtNetlink(), Ethtool()
        self._names: dict[str, tuple[str, ...]] = {}

    def close(self) -> None:
        self._netlink.close()
        self._ethtool.close()

    def drops(self) -> dict[int, dict[str, int]]:
        """For each interface by index, the counters of errors and drops that are not 0. Raises OSError."""
        answers = self._netlink.request(_RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0), NLM_F_DUMP)
        return {_LINK.unpack_from(each)[2]: _drops(each) for each in answers}

    def speed(self, interface: str) -> int | None:
        """The speed of the link in bits a second; None where it has none, or the driver does not tell."""
        return self._ethtool.speed(interface)

    def verdicts(self, interface: str) -> dict[str, int]:
        """What XDP programs decided, as far as the driver counts it."""
        values = self._ethtool.counters(interface)
        names = self._names.get(interface, ())
        if len(names) != len(values):  # another driver, or another number of queues
            names = self._names[interface] = self._ethtool.counter_names(interface)
        return verdicts_of(names, values)


def _drops(answer: bytes) -> dict[str, int]:
    stats = attributes(answer[_LINK.size :]).get(_IFLA_STATS64, b"")
    values = struct.unpack(f"={len(stats) // 8}Q", stats[: len(stats) // 8 * 8])
    pairs = zip(_MEMBERS, values, strict=False)
    return {name: value for name, value in pairs if value and name not in _NOT_LOST}
