"""An event as it is handed out, and of which kinds there are."""

from dataclasses import dataclass, field
from typing import Final

__all__ = ["EVENT_KINDS", "Detail", "WifiEvent"]

Detail = int | float | str | bool


@dataclass(frozen=True, slots=True)
class WifiEvent:
    """Something that happened at `time_ns` (nanoseconds since the epoch); `kind` is one of EVENT_KINDS.

    `mac` is the other end's address, "" where there is none. `reason` is 802.11's reason or status code,
    `why` what it says in words. `details` are what else this kind of event tells.
    """

    time_ns: int
    kind: str
    interface: str
    mac: str = ""
    reason: int | None = None
    why: str = ""
    details: dict[str, Detail] = field(default_factory=dict)


EVENT_KINDS: Final = {
    "join": "a station is there: associated, or authenticated, or a peer of the mesh",
    "leave": "a station is there no more; details: what it had",
    "roam": "a station, or this one, went on to another access point; details: from",
    "authorized": "a station may send and receive data",
    "refused": "an access point refused a station",
    "station-mode": "a station changed its width or its streams",
    "connect": "this station is connected",
    "connect-failed": "this station could not connect; reason: a status code",
    "disconnect": "this station is connected no more; details: by_ap",
    "authenticate": "an answer to this station's authentication; reason: a status code",
    "associate": "an answer to this station's association; reason: a status code",
    "deauthenticate": "a deauthentication frame; mac: who sent it, details: to",
    "disassociate": "a disassociation frame; mac: who sent it, details: to",
    "low-ack": "a station acknowledged none of so many frames in a row; details: frames",
    "beacon-loss": "no beacon of the access point has been heard for a while",
    "signal": "the signal crossed the limit that somebody set; details: level, signal_dbm",
    "tx-errors": "more frames failed than the limit that somebody set; details: percent, frames, seconds",
    "mic-failure": "a frame was not encrypted as it should be",
    "channel-switch-started": "a switch is announced; details: frequency_mhz, width_mhz, beacons",
    "channel-switch": "the interface is on another channel; details: frequency_mhz, width_mhz",
    "radar": "radar, or a check for it; details: what, frequency_mhz",
    "regulatory": "other channels and powers are allowed; details: country, by",
    "access-point-started": "an access point began",
    "access-point-stopped": "an access point ended",
    "ibss": "this station joined an ad-hoc network; mac: its BSSID",
    "mesh-candidate": "a mesh node that could be a peer was heard",
    "interface-added": "a Wi-Fi interface; details: type",
    "interface-removed": "a Wi-Fi interface is no more",
    "scan-started": "a scan began",
    "scan-done": "a scan brought its results",
    "scan-aborted": "a scan was given up",
    "events-lost": "the kernel told more than could be fetched; details: times",
}
