"""What an Ethernet frame carries, by name (IEEE 802 numbers; the kernel's include/uapi/linux/if_ether.h)."""

from typing import Final

__all__ = ["LLC", "NAMES", "OTHER", "ethertype_name"]

#: What the kernel calls frames that have a length where others have their ethertype (ETH_P_802_2).
LLC: Final = 0x0004
#: All for which a counter found no room.
OTHER: Final = -1

NAMES: Final = {
    OTHER: "other",
    LLC: "llc",
    0x0800: "ipv4",
    0x0806: "arp",
    0x22F0: "avtp",
    0x4305: "batadv",
    0x6558: "teb",
    0x8035: "rarp",
    0x8100: "vlan",
    0x86DD: "ipv6",
    0x8809: "slow",  # LACP and others
    0x8847: "mpls",
    0x8848: "mpls-mc",
    0x8863: "pppoe-d",
    0x8864: "pppoe",
    0x886C: "homepna",
    0x888E: "eapol",
    0x8899: "realtek",
    0x88A8: "qinq",
    0x88B5: "exp1",  # IEEE's local experiments
    0x88B6: "exp2",
    0x88BE: "erspan",
    0x88C7: "preauth",  # 802.11i
    0x88CC: "lldp",
    0x88DC: "wsmp",
    0x88E1: "homeplug",
    0x88E5: "macsec",
    0x88F7: "ptp",
    0x8902: "cfm",
    0x890D: "tdls",
    0x893A: "1905",
    0x9000: "loopback",
}


def ethertype_name(number: int) -> str:
    """A short name, or the number in hexadecimal."""
    return NAMES.get(number) or f"0x{number:04x}"
