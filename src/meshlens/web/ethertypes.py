"""Names of ethertypes, as a reader of a chart knows them (IANA, IEEE 802 Numbers)."""

from typing import Final

__all__ = ["ethertype_name"]

_NAMES: Final = {
    -1: "other", 0x0800: "IPv4", 0x0806: "ARP", 0x0842: "Wake-on-LAN", 0x22F3: "TRILL", 0x4305: "batman-adv",
    0x8035: "RARP", 0x8100: "VLAN", 0x86DD: "IPv6", 0x8808: "pause", 0x8809: "slow protocols",
    0x8847: "MPLS", 0x8848: "MPLS multicast", 0x8863: "PPPoE discovery", 0x8864: "PPPoE", 0x888E: "EAPOL",
    0x88A8: "QinQ", 0x88B5: "experimental", 0x88CC: "LLDP", 0x88E5: "MACsec", 0x88F7: "PTP",
    0x890D: "802.11", 0x8912: "HomePlug", 0x88E1: "HomePlug",
}  # fmt: skip


def ethertype_name(number: int) -> str:
    """The name of an ethertype; its hexadecimal number if it has none here, "802.3" if it is a length."""
    if 0 <= number < 0x0600:  # IEEE 802.3, 3.2.6: up to 1500 it is a length, between is undefined
        return "802.3"
    return _NAMES.get(number, f"0x{number:04x}")
