"""What nl80211's messages mean as events."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from meshlens.ebpf.netlink import attributes
from meshlens.wifi.events.record import Detail, WifiEvent
from meshlens.wifi.netlink.interfaces import KINDS, WIDTHS_MHZ
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes, Command, mac_text, number, signed
from meshlens.wifi.netlink.stations import station_info
from meshlens.wifi.reasons import reason_name, status_name

__all__ = ["event_of"]

#: What a handler gives: kind, mac, reason or status, its words, details; None: nothing of interest.
_Said = tuple[str, str, int | None, str, dict[str, Detail]] | None
_Handler = Callable[[Attributes], _Said]


def event_of(command: int, told: Attributes, interface: str, time_ns: int) -> WifiEvent | None:
    """What a message of nl80211 means, None if nothing that is told here."""
    handler = _HANDLERS.get(command)
    said = handler(told) if handler else None
    if said is None:
        return None
    kind, mac, reason, why, details = said
    return WifiEvent(time_ns, kind, interface, mac, reason, why, details)


def _mac(told: Attributes) -> str:
    return mac_text(told.get(Attribute.MAC, b""))


def _plain(kind: str) -> _Handler:
    return lambda told: (kind, _mac(told), None, "", {})


#: What of a station's numbers is told when it leaves.
_LAST: Final = (
    "connected_s", "tx_packets", "tx_bytes", "tx_retries", "tx_failed", "rx_packets", "rx_bytes",
    "signal_dbm",
)  # fmt: skip


def _leave(told: Attributes) -> _Said:
    info = station_info("", told)
    had = asdict(info) if info else {}
    return "leave", _mac(told), None, "", {name: had[name] for name in _LAST if had.get(name) is not None}


def _connect(told: Attributes) -> _Said:
    status = number(told.get(Attribute.STATUS_CODE, b""))
    if Attribute.TIMED_OUT in told:
        return "connect-failed", _mac(told), None, "timed out", {}
    if status:
        return "connect-failed", _mac(told), status, status_name(status), {}
    return "connect", _mac(told), None, "", {}


def _disconnect(told: Attributes) -> _Said:
    by_ap = Attribute.DISCONNECTED_BY_AP in told
    return "disconnect", _mac(told), *_reason(told.get(Attribute.REASON_CODE, b"")), {"by_ap": by_ap}


def _reason(payload: bytes) -> tuple[int | None, str]:
    code = number(payload)
    return (code, reason_name(code)) if code else (None, "")


#: Where the code stands behind the header of a frame: in those that part first, in an authentication behind
#: algorithm and sequence number, in an answer to an association behind the capabilities (9.3.3).
_HEADER_BYTES: Final = 24
_CODE_AT: Final = {"authenticate": 4, "associate": 2}


def _frame(kind: str) -> _Handler:
    """A management frame that the kernel's own state machine sent or received."""
    is_status, at = kind in _CODE_AT, _HEADER_BYTES + _CODE_AT.get(kind, 0)

    def read(told: Attributes) -> _Said:
        frame = told.get(Attribute.FRAME, b"")
        if Attribute.TIMED_OUT in told:
            return kind, _mac(told), None, "timed out", {}
        if len(frame) < at + 2:
            return None
        code = int.from_bytes(frame[at : at + 2], "little")
        why = reason_name(code) if not is_status else status_name(code) if code else "success"
        return kind, mac_text(frame[10:16]), code, why, {"to": mac_text(frame[4:10])}

    return read


_CQM_LEVEL, _CQM_LOST, _CQM_PERCENT, _CQM_FRAMES, _CQM_SECONDS, _CQM_BEACONS, _CQM_DBM = range(3, 10)
_LEVELS: Final = ("low", "high", "no beacons")


def _quality(told: Attributes) -> _Said:
    """Connection quality monitor (enum nl80211_attr_cqm)."""
    cqm = attributes(told.get(Attribute.CQM, b""))
    mac = _mac(told)
    if _CQM_BEACONS in cqm:
        return "beacon-loss", mac, None, "", {}
    if _CQM_LOST in cqm:
        return "low-ack", mac, None, "", {"frames": number(cqm[_CQM_LOST])}
    if _CQM_PERCENT in cqm:
        names = {"percent": _CQM_PERCENT, "frames": _CQM_FRAMES, "seconds": _CQM_SECONDS}
        return "tx-errors", mac, None, "", {name: number(cqm.get(at, b"")) for name, at in names.items()}
    if _CQM_LEVEL in cqm:
        level = number(cqm[_CQM_LEVEL])
        details: dict[str, Detail] = {"level": _LEVELS[level] if level < len(_LEVELS) else str(level)}
        if _CQM_DBM in cqm:
            details["signal_dbm"] = signed(cqm[_CQM_DBM])
        return "signal", mac, None, "", details
    return None


def _channel(kind: str) -> _Handler:
    def read(told: Attributes) -> _Said:
        details: dict[str, Detail] = {}
        if Attribute.WIPHY_FREQ in told:
            details["frequency_mhz"] = number(told[Attribute.WIPHY_FREQ])
        width = number(told.get(Attribute.CHANNEL_WIDTH, b""))
        if Attribute.CHANNEL_WIDTH in told and width < len(WIDTHS_MHZ):
            details["width_mhz"] = WIDTHS_MHZ[width]
        if Attribute.CH_SWITCH_COUNT in told:
            details["beacons"] = number(told[Attribute.CH_SWITCH_COUNT])
        return kind, _mac(told), None, "", details

    return read


_RADAR: Final = (
    "radar found", "channel found free", "check given up", "may be checked again", "check not valid any more",
    "check started",
)  # fmt: skip


def _radar(told: Attributes) -> _Said:
    what = number(told.get(Attribute.RADAR_EVENT, b""))
    details: dict[str, Detail] = {"what": _RADAR[what] if what < len(_RADAR) else str(what)}
    if Attribute.WIPHY_FREQ in told:
        details["frequency_mhz"] = number(told[Attribute.WIPHY_FREQ])
    return "radar", _mac(told), None, "", details


#: enum nl80211_reg_initiator and nl80211_reg_type, which has a country's letters where it is 0.
_INITIATORS: Final = ("core", "user", "driver", "country element")
_DOMAINS: Final = ("", "world", "custom world", "intersection")


def _regulatory(told: Attributes) -> _Said:
    by, kind = (number(told.get(each, b"")) for each in (Attribute.REG_INITIATOR, Attribute.REG_TYPE))
    letters = told.get(Attribute.REG_ALPHA2, b"").rstrip(b"\0").decode(errors="replace")
    details: dict[str, Detail] = {
        "country": letters or (_DOMAINS[kind] if kind < len(_DOMAINS) else str(kind))
    }
    if by < len(_INITIATORS):
        details["by"] = _INITIATORS[by]
    if Attribute.WIPHY in told:
        details["radio"] = number(told[Attribute.WIPHY])
    return "regulatory", "", None, "", details


def _refused(told: Attributes) -> _Said:
    why = ("too many stations", "blocked")
    reason = number(told.get(Attribute.CONN_FAILED_REASON, b""))
    return "refused", _mac(told), None, why[reason] if reason < len(why) else "", {}


def _added(told: Attributes) -> _Said:
    kind = number(told.get(Attribute.IFTYPE, b""))
    return "interface-added", "", None, "", {"type": KINDS[kind] if kind < len(KINDS) else str(kind)}


_HANDLERS: Final[dict[int, _Handler]] = {
    Command.NEW_STATION: _plain("join"),
    Command.DEL_STATION: _leave,
    Command.ROAM: _plain("roam"),
    Command.PORT_AUTHORIZED: _plain("authorized"),
    Command.CONN_FAILED: _refused,
    Command.STA_OPMODE_CHANGED: _channel("station-mode"),
    Command.CONNECT: _connect,
    Command.DISCONNECT: _disconnect,
    Command.AUTHENTICATE: _frame("authenticate"),
    Command.ASSOCIATE: _frame("associate"),
    Command.DEAUTHENTICATE: _frame("deauthenticate"),
    Command.UNPROT_DEAUTHENTICATE: _frame("deauthenticate"),
    Command.DISASSOCIATE: _frame("disassociate"),
    Command.UNPROT_DISASSOCIATE: _frame("disassociate"),
    Command.NOTIFY_CQM: _quality,
    Command.MICHAEL_MIC_FAILURE: _plain("mic-failure"),
    Command.CH_SWITCH_STARTED_NOTIFY: _channel("channel-switch-started"),
    Command.CH_SWITCH_NOTIFY: _channel("channel-switch"),
    Command.RADAR_DETECT: _radar,
    Command.REG_CHANGE: _regulatory,
    Command.WIPHY_REG_CHANGE: _regulatory,
    Command.REG_BEACON_HINT: _regulatory,
    Command.START_AP: _plain("access-point-started"),
    Command.STOP_AP: _plain("access-point-stopped"),
    Command.JOIN_IBSS: _plain("ibss"),
    Command.NEW_PEER_CANDIDATE: _plain("mesh-candidate"),
    Command.NEW_INTERFACE: _added,
    Command.DEL_INTERFACE: lambda _: ("interface-removed", "", None, "", {}),
    Command.TRIGGER_SCAN: lambda _: ("scan-started", "", None, "", {}),
    Command.NEW_SCAN_RESULTS: lambda _: ("scan-done", "", None, "", {}),
    Command.SCAN_ABORTED: lambda _: ("scan-aborted", "", None, "", {}),
}
