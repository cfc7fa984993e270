"""Why stations part, and why they are refused: the numbers of IEEE 802.11-2020 in words.

Reason codes: 9.4.1.7, table 9-49; status codes: 9.4.1.9, table 9-50.
"""

from typing import Final

__all__ = ["reason_name", "status_name"]

_REASONS: Final = {
    1: "unspecified",
    2: "authentication not valid any more",
    3: "leaves, deauthenticated",
    4: "inactive for too long",
    5: "access point cannot handle all its stations",
    6: "class 2 frame without authentication",
    7: "class 3 frame without association",
    8: "leaves, disassociated",
    9: "association without authentication",
    10: "power capability not acceptable",
    11: "supported channels not acceptable",
    12: "BSS transition management",
    13: "invalid element",
    14: "message integrity check failed",
    15: "4-way handshake timed out",
    16: "group key handshake timed out",
    17: "handshake element differs from association",
    18: "invalid group cipher",
    19: "invalid pairwise cipher",
    20: "invalid AKM",
    21: "unsupported version of RSN",
    22: "invalid capabilities of RSN",
    23: "802.1X authentication failed",
    24: "cipher suite rejected by policy",
    25: "TDLS peer not reachable",
    26: "TDLS link torn down",
    27: "service provider asked for it",
    28: "no roaming agreement",
    29: "cipher or AKM of the service provider missing",
    30: "not authorized here",
    31: "change of service precludes the traffic stream",
    32: "QoS, unspecified",
    33: "not enough bandwidth",
    34: "too many frames without ACK",
    35: "exceeded its TXOP",
    36: "leaves, or resets",
    37: "does not want the mechanism any more",
    38: "mechanism not set up",
    39: "timed out",
    45: "peer knows no such cipher",
    46: "limit of authorized access reached",
    47: "external service requirements",
    48: "invalid count of FT action frames",
    49: "invalid PMKID",
    50: "invalid mobility domain element",
    51: "invalid fast transition element",
    52: "mesh peering cancelled",
    53: "mesh: too many peers",
    54: "mesh: configuration or policy violated",
    55: "mesh: close received",
    56: "mesh: too many tries",
    57: "mesh: confirmation timed out",
    58: "mesh: invalid group key",
    59: "mesh: inconsistent parameters",
    60: "mesh: invalid security capability",
    61: "mesh: no proxy information",
    62: "mesh: no forwarding information",
    63: "mesh: destination unreachable",
    64: "address already in the mesh",
    65: "mesh: channel switch by regulation",
    66: "mesh: channel switch",
}
_STATUS: Final = {
    1: "unspecified",
    10: "cannot support all capabilities",
    11: "reassociation without association",
    12: "denied for a reason outside the standard",
    13: "authentication algorithm not supported",
    14: "authentication out of sequence",
    15: "challenge failed",
    16: "authentication timed out",
    17: "too many stations",
    18: "basic rates not supported",
    30: "refused for now, try again later",
    31: "robust management frames wanted",
    32: "QoS, unspecified",
    33: "not enough bandwidth",
    34: "channel too poor",
    35: "QoS wanted",
    37: "declined",
    38: "invalid parameters",
    40: "invalid element",
    41: "invalid group cipher",
    42: "invalid pairwise cipher",
    43: "invalid AKM",
    44: "unsupported version of RSN",
    45: "invalid capabilities of RSN",
    46: "cipher suite rejected by policy",
    53: "invalid PMKID",
    72: "mesh: invalid security capability",
    76: "SAE wants an anti-clogging token",
    77: "SAE group not supported",
    82: "BSS transition asked for",
    104: "HT not supported",
    126: "SAE by hash to element",
}


def reason_name(code: int) -> str:
    """A reason code in words."""
    return _REASONS.get(code, f"reason {code}")


def status_name(code: int) -> str:
    """A status code in words."""
    return _STATUS.get(code, f"status {code}")
