"""Station dumps: what `iw dev wlan0 station dump` prints, as records (enum nl80211_sta_info)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from meshlens.ebpf.netlink import attributes
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes, Command, Nl80211, mac_text, number, signed
from meshlens.wifi.netlink.rates import mbps_of, rate_of
from meshlens.wifi.rates import Rate

__all__ = ["StationInfo", "TidInfo", "station_info", "station_infos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TidInfo:
    """MSDUs of one traffic identifier, 0 to 15; 16: those without one. None: not told."""

    tid: int
    rx_msdus: int | None = None
    tx_msdus: int | None = None
    tx_retries: int | None = None
    tx_failed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StationInfo:
    """What nl80211 tells of a station, counted since it joined; None: this driver does not tell it.

    "tx" is what went to the station, "rx" what came from it. `tx_packets` are those the stack handed over,
    `tx_retries` further attempts, `tx_failed` packets given up, in the driver's count; durations are airtime.
    Rates are those of the last frame; `tx_mbps` and `rx_mbps` are what the kernel reckons they are worth, and
    there for rates of 802.11be as well. `fcs_errors` and `rx_mpdus` are what the hardware counted.
    """

    interface: str
    mac: str
    connected_s: int | None = None
    inactive_ms: int | None = None
    tx_packets: int | None = None
    tx_bytes: int | None = None
    tx_retries: int | None = None
    tx_failed: int | None = None
    tx_rate: Rate | None = None
    tx_mbps: float | None = None
    tx_duration_us: int | None = None
    rx_packets: int | None = None
    rx_bytes: int | None = None
    rx_dropped: int | None = None
    rx_mpdus: int | None = None
    fcs_errors: int | None = None
    rx_rate: Rate | None = None
    rx_mbps: float | None = None
    rx_duration_us: int | None = None
    signal_dbm: int | None = None
    signal_mean_dbm: int | None = None
    chain_signals_dbm: tuple[int, ...] = ()
    chain_signal_means_dbm: tuple[int, ...] = ()
    ack_signal_dbm: int | None = None
    ack_signal_mean_dbm: int | None = None
    expected_kbps: int | None = None
    beacon_loss: int | None = None
    beacons: int | None = None
    beacon_signal_mean_dbm: int | None = None
    airtime_weight: int | None = None
    mesh_link: str | None = None
    authorized: bool | None = None
    tids: tuple[TidInfo, ...] = ()


_MESH_LINKS: Final = (
    "listen",
    "open sent",
    "open received",
    "confirmed",
    "established",
    "holding",
    "blocked",
)
_AUTHORIZED: Final = 1 << 1


def _signals(payload: bytes) -> tuple[int, ...]:
    return tuple(signed(value) for _, value in sorted(attributes(payload).items()))


def _mesh_link(payload: bytes) -> str:
    state = number(payload)
    return _MESH_LINKS[state] if state < len(_MESH_LINKS) else str(state)


def _authorized(payload: bytes) -> bool | None:
    """struct nl80211_sta_flag_update: which flags are told, which are set."""
    known, flags = number(payload[:4]), number(payload[4:8])
    return bool(flags & _AUTHORIZED) if known & _AUTHORIZED else None


def _tids(payload: bytes) -> tuple[TidInfo, ...]:
    names = {1: "rx_msdus", 2: "tx_msdus", 3: "tx_retries", 4: "tx_failed"}
    found = []
    for place, value in sorted(attributes(payload).items()):  # place 1 is TID 0
        told = {names[kind]: number(each) for kind, each in attributes(value).items() if kind in names}
        found.append(TidInfo(tid=place - 1, **told))
    return tuple(found)


#: Attributes of NL80211_ATTR_STA_INFO: which field each is, and how it is read; a later one wins.
_FIELDS: Final[dict[int, tuple[tuple[str, Callable[[bytes], Any]], ...]]] = {
    1: (("inactive_ms", number),),
    2: (("rx_bytes", number),),
    3: (("tx_bytes", number),),
    6: (("mesh_link", _mesh_link),),
    7: (("signal_dbm", signed),),
    8: (("tx_rate", rate_of), ("tx_mbps", mbps_of)),
    9: (("rx_packets", number),),
    10: (("tx_packets", number),),
    11: (("tx_retries", number),),
    12: (("tx_failed", number),),
    13: (("signal_mean_dbm", signed),),
    14: (("rx_rate", rate_of), ("rx_mbps", mbps_of)),
    16: (("connected_s", number),),
    17: (("authorized", _authorized),),
    18: (("beacon_loss", number),),
    23: (("rx_bytes", number),),  # of 64 bits
    24: (("tx_bytes", number),),
    25: (("chain_signals_dbm", _signals),),
    26: (("chain_signal_means_dbm", _signals),),
    27: (("expected_kbps", number),),
    28: (("rx_dropped", number),),
    29: (("beacons", number),),
    30: (("beacon_signal_mean_dbm", signed),),
    31: (("tids", _tids),),
    32: (("rx_duration_us", number),),
    34: (("ack_signal_dbm", signed),),
    35: (("ack_signal_mean_dbm", signed),),
    36: (("rx_mpdus", number),),
    37: (("fcs_errors", number),),
    39: (("tx_duration_us", number),),
    40: (("airtime_weight", number),),
}


def station_infos(nl80211: Nl80211, interface: str, index: int) -> list[StationInfo]:
    """The stations of an interface: an access point's clients, a client's access point, a mesh node's peers.

    None of an interface that is gone or has none by its nature.
    """
    answers = nl80211.dump(Command.GET_STATION, index)
    found = [station_info(interface, answer) for answer in answers]
    return [each for each in found if each is not None]


def station_info(interface: str, told: Attributes) -> StationInfo | None:
    """A station as a message tells of it, None if it does not name one."""
    if Attribute.MAC not in told:
        return None
    fields: dict[str, Any] = {}
    for kind, payload in sorted(attributes(told.get(Attribute.STA_INFO, b"")).items()):
        fields |= {name: read(payload) for name, read in _FIELDS.get(kind, ())}
    return StationInfo(interface=interface, mac=mac_text(told[Attribute.MAC]), **fields)
