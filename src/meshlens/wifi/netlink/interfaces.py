"""Wi-Fi interfaces: of which kind they are, on which channel, in which network."""

from dataclasses import dataclass
from typing import Final

from meshlens.wifi.netlink.nl80211 import Attribute, Attributes, Command, Nl80211, mac_text, number, signed

__all__ = ["KINDS", "WIDTHS_MHZ", "WifiInterface", "wifi_interface", "wifi_interfaces"]

#: enum nl80211_iftype.
KINDS: Final = (
    "unspecified", "ibss", "managed", "ap", "ap-vlan", "wds", "monitor", "mesh-point", "p2p-client", "p2p-go",
    "p2p-device", "ocb", "nan",
)  # fmt: skip
#: enum nl80211_chan_width; 80+80 MHz has 160 in all.
WIDTHS_MHZ: Final = (20, 20, 40, 80, 160, 160, 5, 10, 1, 2, 4, 8, 16, 320)


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiInterface:
    """A Wi-Fi interface as `iw dev` prints it. `ssid` is "" where it has none or is not in a network."""

    name: str
    index: int
    mac: str
    kind: str
    radio: int
    ssid: str = ""
    frequency_mhz: int | None = None
    width_mhz: int | None = None
    tx_power_dbm: float | None = None

    @property
    def is_access_point(self) -> bool:
        """Whether stations associate with it: its address is their BSSID then."""
        return self.kind in ("ap", "ap-vlan", "p2p-go")

    @property
    def is_client(self) -> bool:
        """Whether its only station is its access point."""
        return self.kind in ("managed", "p2p-client")


def wifi_interfaces(nl80211: Nl80211) -> list[WifiInterface]:
    """All that have a name (those of P2P devices have none), in the order of their indexes."""
    found = (wifi_interface(answer) for answer in nl80211.dump(Command.GET_INTERFACE))
    return sorted((each for each in found if each is not None), key=lambda each: each.index)


def wifi_interface(told: Attributes) -> WifiInterface | None:
    """An interface as a message tells of it, None if it does not name one."""
    if Attribute.IFINDEX not in told or Attribute.IFNAME not in told:
        return None
    kind, width = number(told.get(Attribute.IFTYPE, b"")), number(told.get(Attribute.CHANNEL_WIDTH, b""))
    power = told.get(Attribute.WIPHY_TX_POWER_LEVEL)
    channel = Attribute.WIPHY_FREQ in told
    return WifiInterface(
        name=told[Attribute.IFNAME].rstrip(b"\0").decode(errors="replace"),
        index=number(told[Attribute.IFINDEX]),
        mac=mac_text(told.get(Attribute.MAC, b"")),
        kind=KINDS[kind] if kind < len(KINDS) else str(kind),
        radio=number(told.get(Attribute.WIPHY, b"")),
        ssid=told.get(Attribute.SSID, b"").decode(errors="replace"),
        frequency_mhz=number(told[Attribute.WIPHY_FREQ]) if channel else None,
        width_mhz=WIDTHS_MHZ[width] if channel and width < len(WIDTHS_MHZ) else None,
        tx_power_dbm=signed(power) / 100 if power else None,
    )
