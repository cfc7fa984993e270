"""Messages of the services that chatter on every network: DHCP, name resolution, discovery.

Each function returns an IP packet; `lldp` returns what follows the Ethernet header. Sources: RFC 2131 and
2132 (DHCP), 8415 (DHCPv6), 1035 (DNS), 6762 (mDNS), 4795 (LLMNR), 1002 (NetBIOS), UPnP Device Architecture
1.1 (SSDP), IEEE 802.1AB (LLDP).
"""

import ipaddress

from meshlens.packet.craft import mac, udp

__all__ = [
    "DHCP_TYPES",
    "dhcp",
    "dhcpv6_solicit",
    "dns_query",
    "dns_response",
    "lldp",
    "llmnr_query",
    "mdns_query",
    "mdns_response",
    "netbios_query",
    "respondd_query",
    "ssdp_notify",
    "ssdp_search",
]

DHCP_TYPES = {"discover": 1, "offer": 2, "request": 3, "ack": 5, "release": 7}
_FROM_SERVER = {"offer", "ack"}
_DHCP_COOKIE = bytes.fromhex("63825363")
_TYPE_A, _TYPE_PTR, _TYPE_NETBIOS = 1, 12, 32
_MDNS_GROUPS = {4: "224.0.0.251", 6: "ff02::fb"}
_LLMNR_GROUPS = {4: "224.0.0.252", 6: "ff02::1:3"}
_SSDP_GROUPS = {4: "239.255.255.250", 6: "ff02::c"}


def _group(groups: dict[int, str], source: str) -> str:
    return groups[ipaddress.ip_address(source).version]


def dhcp(message: str, client_mac: str, transaction: int, client: str, server: str) -> bytes:
    """A DHCP message of `DHCP_TYPES`; all are broadcast, `client` is the address that the server gives."""
    from_server = message in _FROM_SERVER
    header = (
        bytes((2 if from_server else 1, 1, 6, 0)) + transaction.to_bytes(4, "big") + bytes((0, 0, 0x80, 0))
    )
    given = ipaddress.IPv4Address(client).packed if from_server else bytes(4)
    addresses = bytes(4) + given + bytes(8) + mac(client_mac).to_bytes(6, "big") + bytes(10)
    options = bytes((53, 1, DHCP_TYPES[message]))  # first, where filters look for it
    if message != "discover":
        options += bytes((54, 4)) + ipaddress.IPv4Address(server).packed
    if message == "request":
        options += bytes((50, 4)) + ipaddress.IPv4Address(client).packed
    if from_server:
        options += bytes((51, 4)) + (3600).to_bytes(4, "big") + bytes((1, 4, 255, 255, 255, 0))
    else:
        options += bytes((55, 4, 1, 3, 6, 15))
    payload = header + addresses + bytes(192) + _DHCP_COOKIE + (options + b"\xff").ljust(60, b"\0")
    if from_server:
        return udp(server, "255.255.255.255", 67, 68, payload)
    return udp("0.0.0.0", "255.255.255.255", 68, 67, payload)  # noqa: S104  (an address on the wire, no socket)


def dhcpv6_solicit(source: str, client_mac: str, transaction: int) -> bytes:
    """A DHCPv6 solicit that asks for an address."""
    client_id = bytes.fromhex("0001 000a 0003 0001") + mac(client_mac).to_bytes(6, "big")
    wanted = bytes.fromhex("0006 0004 0017 0018  0008 0002 0000  0003 000c 00000001 00000e10 00001518")
    payload = b"\x01" + transaction.to_bytes(3, "big") + client_id + wanted
    return udp(source, "ff02::1:2", 546, 547, payload, hop_limit=1)


def _name(text: str) -> bytes:
    labels = (bytes((len(label),)) + label.encode() for label in text.split("."))
    return b"".join(labels) + b"\0"


def _dns(identifier: int, flags: int, question: bytes, answer: bytes) -> bytes:
    counts = (int(bool(question)), int(bool(answer)), 0, 0)
    header = b"".join(number.to_bytes(2, "big") for number in (identifier, flags, *counts))
    return header + question + answer


def _question(name: str, type: int) -> bytes:
    return _name(name) + type.to_bytes(2, "big") + b"\0\1"


def _answer(name: str, type: int, value: bytes) -> bytes:
    return _question(name, type) + (120).to_bytes(4, "big") + len(value).to_bytes(2, "big") + value


def dns_query(source: str, server: str, source_port: int, identifier: int, name: str) -> bytes:
    """A DNS query for an IPv4 address."""
    return udp(source, server, source_port, 53, _dns(identifier, 0x0100, _question(name, _TYPE_A), b""))


def dns_response(
    server: str, client: str, client_port: int, identifier: int, name: str, address: str
) -> bytes:
    """A DNS response with one IPv4 address."""
    answer = _answer(name, _TYPE_A, ipaddress.IPv4Address(address).packed)
    return udp(server, client, 53, client_port, _dns(identifier, 0x8180, _question(name, _TYPE_A), answer))


def mdns_query(source: str, service: str) -> bytes:
    """A question for those who offer `service` ("_ipp._tcp.local")."""
    return udp(
        source,
        _group(_MDNS_GROUPS, source),
        5353,
        5353,
        _dns(0, 0, _question(service, _TYPE_PTR), b""),
        hop_limit=255,
    )


def mdns_response(source: str, service: str, instance: str) -> bytes:
    """The answer of one `instance` that offers `service`."""
    answer = _answer(service, _TYPE_PTR, _name(instance + "." + service))
    return udp(source, _group(_MDNS_GROUPS, source), 5353, 5353, _dns(0, 0x8400, b"", answer), hop_limit=255)


def llmnr_query(source: str, source_port: int, identifier: int, name: str) -> bytes:
    """An LLMNR query for a host's IPv4 address."""
    message = _dns(identifier, 0, _question(name, _TYPE_A), b"")
    return udp(source, _group(_LLMNR_GROUPS, source), source_port, 5355, message, hop_limit=1)


def netbios_query(source: str, broadcast: str, identifier: int, name: str) -> bytes:
    """A NetBIOS name query; half an octet a letter (RFC 1001, first-level encoding)."""
    padded = name.upper().ljust(15)[:15].encode() + b"\0"
    letters = "".join(chr(65 + (octet >> 4)) + chr(65 + (octet & 15)) for octet in padded)
    return udp(source, broadcast, 137, 137, _dns(identifier, 0x0110, _question(letters, _TYPE_NETBIOS), b""))


def ssdp_search(source: str, source_port: int) -> bytes:
    """A search for all UPnP devices."""
    group = _group(_SSDP_GROUPS, source)
    lines = [
        "M-SEARCH * HTTP/1.1",
        f"HOST: {group}:1900",
        'MAN: "ssdp:discover"',
        "MX: 2",
        "ST: upnp:rootdevice",
        "",
        "",
    ]
    return udp(source, group, source_port, 1900, "\r\n".join(lines).encode(), hop_limit=4)


def ssdp_notify(source: str, source_port: int, uuid: str) -> bytes:
    """A UPnP device that says it is there."""
    group = _group(_SSDP_GROUPS, source)
    lines = [
        "NOTIFY * HTTP/1.1",
        f"HOST: {group}:1900",
        "CACHE-CONTROL: max-age=1800",
        f"LOCATION: http://{source}:49152/description.xml",
        "SERVER: Linux/6.1 UPnP/1.1 MiniDLNA/1.3",
        "NTS: ssdp:alive",
        "NT: upnp:rootdevice",
        f"USN: uuid:{uuid}::upnp:rootdevice",
        "",
        "",
    ]
    return udp(source, group, source_port, 1900, "\r\n".join(lines).encode(), hop_limit=4)


def respondd_query(source: str, source_port: int) -> bytes:
    """Gluon's request for the data of all nodes."""
    return udp(source, "ff02::2:1001", source_port, 1001, b"GET nodeinfo statistics neighbours", hop_limit=1)


def lldp(source_mac: str, port: str) -> bytes:
    """A minimal LLDP data unit: chassis (a MAC address), port (its name), two minutes to live, end."""
    address = mac(source_mac).to_bytes(6, "big")
    return (
        b"\x02\x07\x04"
        + address
        + bytes((4, 1 + len(port), 5))
        + port.encode()
        + bytes.fromhex("0602 0078 0000")
    )
