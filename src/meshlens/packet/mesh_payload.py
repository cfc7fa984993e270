"""What the clients of a made-up mesh are there for: TCP, UDP and name resolution to the Internet."""

from meshlens.packet.craft import icmp, ip_frame, tcp, udp
from meshlens.packet.craft_services import dns_query, dns_response
from meshlens.packet.mesh_world import Build, Client, Kind, World

__all__ = ["PAYLOAD_KINDS"]

_SERVER, _SERVER_V6 = "198.51.100.7", "2001:db8:7::7"
_HTTPS = 443
_TIMESTAMPS = bytes.fromhex("0101080a0012345600654321")  # as Linux sends them in every segment
_SYN, _PUSH_ACK = 0x02, 0x18
_NAME = "www.example.org"


def _download(world: World, client: Client) -> bytes:
    data = world.bytes(1448, 1448)
    return tcp(
        _SERVER, client.ipv4, _HTTPS, world.port(), data, flags=_PUSH_ACK, options=_TIMESTAMPS, window=501
    )


def _download_v6(world: World, client: Client) -> bytes:
    data = world.bytes(1428, 1428)
    return tcp(
        _SERVER_V6, client.ipv6, _HTTPS, world.port(), data, flags=_PUSH_ACK, options=_TIMESTAMPS, window=501
    )


_TO_CLIENT: dict[str, tuple[float, Build]] = {
    "tcp": (30, _download),
    "tcp6": (15, _download_v6),
    "udp": (15, lambda w, c: udp(_SERVER, c.ipv4, _HTTPS, w.port(), w.bytes(1310, 1350))),
    "udp6": (8, lambda w, c: udp(_SERVER_V6, c.ipv6, _HTTPS, w.port(), w.bytes(1310, 1350))),
    "dns-response": (
        1,
        lambda w, c: dns_response(w.gateway.ipv4, c.ipv4, w.port(), w.bits(16), _NAME, "192.0.2.80"),
    ),
}
_FROM_CLIENT: dict[str, tuple[float, Build]] = {
    "tcp-ack": (15, lambda w, c: tcp(c.ipv4, _SERVER, w.port(), _HTTPS, options=_TIMESTAMPS, window=501)),
    "tcp-syn": (1, lambda w, c: tcp(c.ipv4, _SERVER, w.port(), _HTTPS, flags=_SYN, window=64240)),
    "tcp6-ack": (8, lambda w, c: tcp(c.ipv6, _SERVER_V6, w.port(), _HTTPS, options=_TIMESTAMPS, window=501)),
    "udp-small": (6, lambda w, c: udp(c.ipv4, _SERVER, w.port(), _HTTPS, w.bytes(30, 90))),
    "dns-query": (1, lambda w, c: dns_query(c.ipv4, w.gateway.ipv4, w.port(), w.bits(16), _NAME)),
    "icmp-echo": (1, lambda w, c: icmp(c.ipv4, _SERVER, 8, 0, w.bits(32), w.bytes(56, 56))),
}


def _to_client(packet: Build) -> Build:
    return lambda world, client: ip_frame(world.gateway.mac, packet(world, client), client.mac)


def _to_gateway(packet: Build) -> Build:
    return lambda world, client: ip_frame(client.mac, packet(world, client), world.gateway.mac)


PAYLOAD_KINDS = (
    *(Kind(name, weight, _to_client(packet)) for name, (weight, packet) in _TO_CLIENT.items()),
    *(Kind(name, weight, _to_gateway(packet)) for name, (weight, packet) in _FROM_CLIENT.items()),
)
