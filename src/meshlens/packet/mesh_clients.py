"""What the clients of a made-up mesh send to find each other, their router and their printer."""

from meshlens.packet import craft_control as control
from meshlens.packet import craft_services as services
from meshlens.packet.craft import BROADCAST, ETHERTYPE_ARP, arp, ethernet, icmpv6, ip_frame, udp
from meshlens.packet.mesh_world import Build, Client, Kind, World

__all__ = ["OVERHEAD_KINDS"]

_NO_MAC = "00:00:00:00:00:00"
_NO_ADDRESS = "0.0.0.0"  # noqa: S104  (an address in a packet, no socket)
_BROADCAST_ADDRESS = "10.11.255.255"
_GROUP_V6 = "ff02::1:ff10:17"
_SERVICES = ("_ipp", "_googlecast", "_airplay", "_http", "_spotify-connect")
_STP = "424203 0000 00 00 00 8000020000000001 00000000 8000020000000001 8001 0000 1400 0200 0f00"
_IPX = "ffff 0028 00 01 00000000 ffffffffffff 0453 00000000 020000000001 0453 0001 ffffffff ffffffff"
_HOMEPLUG = "00 0000 00b052 0000"


# Ethernet frames


def _arp_request(world: World, client: Client) -> bytes:
    packet = arp(1, client.mac, client.ipv4, _NO_MAC, world.peer(client).ipv4)
    return ethernet(BROADCAST, client.mac, ETHERTYPE_ARP, packet)


def _arp_reply(world: World, client: Client) -> bytes:
    asker = world.peer(client)
    return ethernet(
        asker.mac, client.mac, ETHERTYPE_ARP, arp(2, client.mac, client.ipv4, asker.mac, asker.ipv4)
    )


def _arp_gratuitous(operation: int, target_mac: str) -> Build:
    def build(_world: World, client: Client) -> bytes:
        packet = arp(operation, client.mac, client.ipv4, target_mac, client.ipv4)
        return ethernet(BROADCAST, client.mac, ETHERTYPE_ARP, packet)

    return build


def _bla(claim_type: int) -> Build:
    """Bridge loop avoidance: ARP replies whose target is the claim (struct batadv_bla_claim_dst)."""

    def build(world: World, client: Client) -> bytes:
        claim = f"ff:43:05:{claim_type:02x}:{world.gateway.mac[-5:]}"
        return ethernet(
            BROADCAST, client.mac, ETHERTYPE_ARP, arp(2, client.mac, _NO_ADDRESS, claim, _NO_ADDRESS)
        )

    return build


def _raw(destination: str, ethertype: int, payload: str) -> Build:
    return lambda _world, client: ethernet(destination, client.mac, ethertype, bytes.fromhex(payload))


def _lldp(_world: World, client: Client) -> bytes:
    return ethernet("01:80:c2:00:00:0e", client.mac, 0x88CC, services.lldp(client.mac, "lan1"))


# IP packets to a group or to all


def _to_group(packet: Build) -> Build:
    return lambda world, client: ip_frame(client.mac, packet(world, client))


def _shout(destination: str, port: int) -> Build:
    """A UDP datagram of some service that looks for its like."""

    def build(world: World, client: Client) -> bytes:
        source = client.link_local if ":" in destination else client.ipv4
        return ip_frame(client.mac, udp(source, destination, world.port(), port, world.bytes(20, 180)))

    return build


def _nd_solicitation(world: World, client: Client) -> bytes:
    return control.neighbour_solicitation(client.mac, client.link_local, world.peer(client).ipv6)


def _mdns_service(world: World) -> str:
    return world.random.choice(_SERVICES) + "._tcp.local"


def _dhcp(message: str) -> Build:
    def build(world: World, client: Client) -> bytes:
        packet = services.dhcp(message, client.mac, world.bits(32), client.ipv4, world.gateway.ipv4)
        return ip_frame(world.gateway.mac if message in {"offer", "ack"} else client.mac, packet)

    return build


def _nd_advertisement(world: World, client: Client) -> bytes:
    asker = world.peer(client)
    packet = control.neighbour_advertisement(client.mac, client.link_local, asker.link_local, client.ipv6)
    return ip_frame(client.mac, packet, asker.mac)


_FRAMES: dict[str, tuple[float, Build]] = {
    "arp-request": (16, _arp_request),
    "arp-reply": (5, _arp_reply),
    "arp-gratuitous-request": (1, _arp_gratuitous(1, _NO_MAC)),
    "arp-gratuitous-reply": (1, _arp_gratuitous(2, BROADCAST)),
    "bla-claim": (2, _bla(0)),
    "bla-unclaim": (0.5, _bla(1)),
    "bla-announce": (1, _bla(2)),
    "bla-request": (0.2, _bla(3)),
    "bla-loopdetect": (0.2, _bla(4)),
    "nd-advertisement": (4, _nd_advertisement),
    "dhcp-discover": (1, _dhcp("discover")),
    "dhcp-offer": (1, _dhcp("offer")),
    "dhcp-request": (1, _dhcp("request")),
    "dhcp-ack": (1, _dhcp("ack")),
    "netbios-datagram": (0.5, _shout(_BROADCAST_ADDRESS, 138)),
    "rip": (0.2, _shout("224.0.0.9", 520)),
    "ripng": (0.2, _shout("ff02::9", 521)),
    "dropbox": (0.5, _shout("255.255.255.255", 17500)),
    "spotify": (0.5, _shout(_BROADCAST_ADDRESS, 57621)),
    "ws-discovery": (0.5, _shout("239.255.255.250", 3702)),
    "ws-discovery6": (0.5, _shout("ff02::c", 3702)),
    "bittorrent-lpd": (0.5, _shout("239.192.152.143", 6771)),
    "syncthing": (0.5, _shout("ff12::8384", 21027)),
    "udp-unknown": (0.5, _shout("239.3.2.1", 4711)),
    "udp6-unknown": (0.5, _shout("ff05::4711", 4711)),
    "lldp": (0.5, _lldp),
    "stp": (0.5, _raw("01:80:c2:00:00:00", 38, _STP)),
    "ipx": (0.1, _raw(BROADCAST, 0x8137, _IPX)),
    "homeplug": (0.2, _raw(BROADCAST, 0x88E1, _HOMEPLUG)),
}
_GROUP_PACKETS: dict[str, tuple[float, Build]] = {
    "nd-solicitation": (12, _nd_solicitation),
    "nd-advertisement-unsolicited": (
        1,
        lambda _, c: control.neighbour_advertisement(c.mac, c.link_local, control.ALL_NODES, c.ipv6),
    ),
    "router-solicitation": (1, lambda _, c: control.router_solicitation(c.mac, c.link_local)),
    "router-advertisement": (
        4,
        lambda _, c: control.router_advertisement(c.mac, c.link_local, "2001:db8:11::"),
    ),
    "icmpv6-echo": (0.5, lambda w, c: icmpv6(c.link_local, "ff02::1", 128, 0, w.bits(32), w.bytes(8, 56))),
    "mld-query": (1, lambda _, c: control.mld_query(c.link_local)),
    "mld-query-group": (0.5, lambda _, c: control.mld_query(c.link_local, _GROUP_V6)),
    "mld-query-v2": (1, lambda _, c: control.mld_query_v2(c.link_local)),
    "mld-query-v2-group": (0.5, lambda _, c: control.mld_query_v2(c.link_local, _GROUP_V6)),
    "mld-report": (2, lambda _, c: control.mld_report(c.link_local, _GROUP_V6)),
    "mld-done": (0.5, lambda _, c: control.mld_done(c.link_local, _GROUP_V6)),
    "mld-report-v2": (4, lambda _, c: control.mld_report_v2(c.link_local, "ff02::fb", _GROUP_V6)),
    "igmp-query": (1, lambda _, c: control.igmp_query(c.ipv4)),
    "igmp-query-v3": (1, lambda _, c: control.igmp_query_v3(c.ipv4)),
    "igmp-report": (2, lambda _, c: control.igmp_report(c.ipv4, "224.0.0.251")),
    "igmp-leave": (0.5, lambda _, c: control.igmp_leave(c.ipv4, "239.255.255.250")),
    "igmp-report-v3": (2, lambda _, c: control.igmp_report_v3(c.ipv4, "224.0.0.251")),
    "mdns-query": (6, lambda w, c: services.mdns_query(c.ipv4, _mdns_service(w))),
    "mdns-response": (3, lambda w, c: services.mdns_response(c.ipv4, _mdns_service(w), c.name)),
    "mdns6-query": (6, lambda w, c: services.mdns_query(c.link_local, _mdns_service(w))),
    "mdns6-response": (3, lambda w, c: services.mdns_response(c.link_local, _mdns_service(w), c.name)),
    "ssdp-search": (3, lambda w, c: services.ssdp_search(c.ipv4, w.port())),
    "ssdp-notify": (2, lambda w, c: services.ssdp_notify(c.ipv4, w.port(), c.name)),
    "ssdp6-search": (1, lambda w, c: services.ssdp_search(c.link_local, w.port())),
    "llmnr-query": (1, lambda w, c: services.llmnr_query(c.ipv4, w.port(), w.bits(16), c.name)),
    "llmnr6-query": (1, lambda w, c: services.llmnr_query(c.link_local, w.port(), w.bits(16), c.name)),
    "netbios-query": (1, lambda w, c: services.netbios_query(c.ipv4, _BROADCAST_ADDRESS, w.bits(16), c.name)),
    "dhcpv6-solicit": (1, lambda w, c: services.dhcpv6_solicit(c.link_local, c.mac, w.bits(24))),
    "respondd-query": (1, lambda w, c: services.respondd_query(c.link_local, w.port())),
    "ospf-hello": (0.3, lambda _, c: control.ospf_hello(c.ipv4)),
    "pim-hello": (0.3, lambda _, c: control.pim_hello(c.ipv4)),
    "babel-hello": (1, lambda w, c: control.babel_hello(c.link_local, w.bits(16))),
    "olsr-hello": (0.3, lambda w, c: control.olsr_hello(c.ipv4, w.bits(16))),
}
OVERHEAD_KINDS = (
    *(Kind(name, weight, build) for name, (weight, build) in _FRAMES.items()),
    *(Kind(name, weight, _to_group(packet)) for name, (weight, packet) in _GROUP_PACKETS.items()),
)
