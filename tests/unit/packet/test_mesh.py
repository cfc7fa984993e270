"""Mesh traffic: the same seed the same frames, each what its kind says by libpcap's judgement."""

from collections.abc import Callable

import cypcap
import pytest

from meshlens.packet.batadv import PACKET_TYPES, VERSIONS, find_type, inner_offset
from meshlens.packet.mesh import MeshFrame, overhead_mix, payload_mix
from meshlens.packet.mesh_clients import OVERHEAD_KINDS
from meshlens.packet.mesh_payload import PAYLOAD_KINDS
from tests.unit.packet.tshark import dissect, needs_tshark

Mix = Callable[..., list[MeshFrame]]
Judge = Callable[[bytes], set[str]]
MIXES = pytest.mark.parametrize("mix", [overhead_mix, payload_mix])
VERSION = pytest.mark.parametrize("version", VERSIONS)

# What libpcap says of a frame of each kind.
EXPRESSIONS = {
    "arp-request": "arp[6:2] = 1 and ether broadcast and arp[14:4] != arp[24:4]",
    "arp-reply": "arp[6:2] = 2 and not ether broadcast",
    "arp-gratuitous-request": "arp[6:2] = 1 and ether broadcast and arp[14:4] = arp[24:4]",
    "arp-gratuitous-reply": "arp[6:2] = 2 and ether broadcast and arp[18:4] = 0xffffffff",
    "bla-claim": "arp[18:2] = 0xff43 and arp[20] = 5 and arp[21] = 0 and arp[14:4] = 0 and arp[24:4] = 0",
    "bla-unclaim": "arp[18:2] = 0xff43 and arp[20] = 5 and arp[21] = 1",
    "bla-announce": "arp[18:2] = 0xff43 and arp[20] = 5 and arp[21] = 2",
    "bla-request": "arp[18:2] = 0xff43 and arp[20] = 5 and arp[21] = 3",
    "bla-loopdetect": "arp[18:2] = 0xff43 and arp[20] = 5 and arp[21] = 4",
    "nd-solicitation": "icmp6[0] = 135 and ip6 multicast",
    "nd-advertisement": "icmp6[0] = 136 and not ip6 multicast",
    "nd-advertisement-unsolicited": "icmp6[0] = 136 and dst host ff02::1",
    "router-solicitation": "icmp6[0] = 133 and dst host ff02::2",
    "router-advertisement": "icmp6[0] = 134 and dst host ff02::1",
    "icmpv6-echo": "icmp6[0] = 128 and ip6 multicast",
    "mld-query": "ip6[6] = 0 and ip6[48] = 130 and ip6[4:2] = 32 and dst host ff02::1",
    "mld-query-group": "ip6[6] = 0 and ip6[48] = 130 and ip6[4:2] = 32 and not dst host ff02::1",
    "mld-query-v2": "ip6[6] = 0 and ip6[48] = 130 and ip6[4:2] = 36 and dst host ff02::1",
    "mld-query-v2-group": "ip6[6] = 0 and ip6[48] = 130 and ip6[4:2] = 36 and not dst host ff02::1",
    "mld-report": "ip6[6] = 0 and ip6[48] = 131",
    "mld-done": "ip6[6] = 0 and ip6[48] = 132",
    "mld-report-v2": "ip6[6] = 0 and ip6[48] = 143",
    "igmp-query": "igmp[0] = 0x11 and ip[2:2] = 32",
    "igmp-query-v3": "igmp[0] = 0x11 and ip[2:2] = 36",
    "igmp-report": "igmp[0] = 0x16",
    "igmp-leave": "igmp[0] = 0x17",
    "igmp-report-v3": "igmp[0] = 0x22",
    "mdns-query": "ip and udp dst port 5353 and udp[10] & 0x80 = 0",
    "mdns-response": "ip and udp dst port 5353 and udp[10] & 0x80 = 0x80",
    "mdns6-query": "ip6 and udp dst port 5353 and ip6[50] & 0x80 = 0",
    "mdns6-response": "ip6 and udp dst port 5353 and ip6[50] & 0x80 = 0x80",
    "ssdp-search": "ip and udp dst port 1900 and udp[8] = 0x4d",
    "ssdp-notify": "ip and udp dst port 1900 and udp[8] = 0x4e",
    "ssdp6-search": "ip6 and udp dst port 1900",
    "llmnr-query": "ip and udp dst port 5355",
    "llmnr6-query": "ip6 and udp dst port 5355",
    "netbios-query": "udp dst port 137 and ether broadcast",
    "netbios-datagram": "udp dst port 138 and ether broadcast",
    "dhcp-discover": "src port 68 and udp[247:4] = 0x63350101",
    "dhcp-offer": "src port 67 and udp[247:4] = 0x63350102",
    "dhcp-request": "src port 68 and udp[247:4] = 0x63350103",
    "dhcp-ack": "src port 67 and udp[247:4] = 0x63350105",
    "dhcpv6-solicit": "udp dst port 547 and ip6[48] = 1",
    "respondd-query": "udp dst port 1001 and ip6 multicast",
    "ospf-hello": "ip proto 89 and ip multicast",
    "pim-hello": "ip proto 103 and ip multicast",
    "babel-hello": "udp dst port 6696 and dst host ff02::1:6",
    "olsr-hello": "udp dst port 698",
    "rip": "udp dst port 520 and ip multicast",
    "ripng": "udp dst port 521 and ip6 multicast",
    "dropbox": "udp dst port 17500 and ether broadcast",
    "spotify": "udp dst port 57621",
    "ws-discovery": "ip and udp dst port 3702",
    "ws-discovery6": "ip6 and udp dst port 3702",
    "bittorrent-lpd": "ip multicast and udp dst port 6771",
    "syncthing": "ip6 multicast and udp dst port 21027",
    "udp-unknown": "ip multicast and udp dst port 4711",
    "udp6-unknown": "ip6 multicast and udp dst port 4711",
    "lldp": "ether proto 0x88cc and ether multicast",
    "stp": "stp",
    "ipx": "ipx",
    "homeplug": "ether proto 0x88e1",
    "tcp": "ip and tcp and len > 1500",
    "tcp6": "ip6 and tcp and len > 1500",
    "tcp-ack": "ip and tcp[13] = 0x10 and len < 70",
    "tcp-syn": "ip and tcp[13] = 0x02",
    "tcp6-ack": "ip6 and tcp and ip6[53] = 0x10 and len < 90",
    "udp": "ip and udp src port 443",
    "udp6": "ip6 and udp src port 443",
    "udp-small": "ip and udp dst port 443",
    "dns-query": "udp dst port 53",
    "dns-response": "udp src port 53",
    "icmp-echo": "icmp[0] = 8",
}


@pytest.fixture(scope="module")
def judge() -> Judge:
    """The kinds that libpcap finds in a frame."""
    with cypcap.open_dead(cypcap.DatalinkType.EN10MB, 262144) as pcap:
        programs = {kind: pcap.compile(expression) for kind, expression in EXPRESSIONS.items()}
    return lambda frame: {
        kind
        for kind, program in programs.items()
        if program.offline_filter(cypcap.Pkthdr(0.0, len(frame), len(frame)), frame)
    }


def untagged(frame: bytes) -> tuple[bytes, tuple[int, ...]]:
    """The frame without its VLAN tags, and these."""
    vlans = []
    while frame[12:14] == b"\x81\0":
        vlans.append(int.from_bytes(frame[14:16], "big"))
        frame = frame[:12] + frame[16:]
    return frame, tuple(vlans)


@MIXES
@VERSION
def test_the_same_seed_gives_the_same_frames_and_another_seed_others(mix: Mix, version: int) -> None:
    assert mix(500, version=version, seed=7) == mix(500, version=version, seed=7)
    assert mix(500, version=version, seed=7) != mix(500, version=version, seed=8)


@MIXES
def test_a_mix_has_as_many_frames_as_asked_for_and_starts_with_one_of_each_kind(mix: Mix) -> None:
    frames = mix(1000)
    kinds = list(dict.fromkeys(frame.kind for frame in frames))
    assert len(frames) == 1000
    assert [frame.kind for frame in frames[: len(kinds)]] == kinds
    assert len(mix(3)) == 3
    assert mix(0) == []


def test_the_overhead_has_every_packet_type_and_every_client_kind_with_and_without_batman_adv() -> None:
    clients = {kind.name for kind in OVERHEAD_KINDS}
    for version, types in PACKET_TYPES.items():
        kinds = {frame.kind for frame in overhead_mix(300, version=version)}
        assert {kind.partition("/")[0] for kind in kinds} == {"client"} | {kind.name for kind in types}
        assert {kind.removeprefix("client/") for kind in kinds if kind.startswith("client/")} == clients
        carried = {kind.partition("/")[2] for kind in kinds if not kind.startswith("client/")}
        assert carried >= clients


def test_payload_comes_by_unicast_by_fragments_and_plain() -> None:
    kinds = {frame.kind for frame in payload_mix(300)}
    for kind in PAYLOAD_KINDS:
        assert {f"unicast/{kind.name}", f"client/{kind.name}"} <= kinds
    assert {"unicast_frag/tcp", "unicast_frag"} <= kinds


@MIXES
@VERSION
@pytest.mark.parametrize(("vlans", "inner_vlans"), [((), ()), ((7,), ()), ((), (9,)), ((7, 8), (9,))])
def test_every_frame_is_what_its_kind_says(
    judge: Judge, mix: Mix, version: int, vlans: tuple[int, ...], inner_vlans: tuple[int, ...]
) -> None:
    for frame in mix(600, version=version, vlans=vlans, inner_vlans=inner_vlans):
        carrier, _, inner_kind = frame.kind.partition("/")
        outer, tags = untagged(frame.data)
        if carrier == "client":
            assert tags == vlans + inner_vlans, frame.kind
            assert judge(outer) == {inner_kind}
            continue
        assert tags == vlans, frame.kind
        kind = find_type(version, carrier)
        assert kind is not None
        assert outer[12:16] == b"\x43\x05" + bytes((kind.number, version)), frame.kind
        offset = inner_offset(outer, version, carrier)
        assert (offset is None) == (inner_kind == ""), frame.kind
        if offset is not None:
            inner, tags = untagged(outer[offset:])
            assert tags == inner_vlans, frame.kind
            if carrier != "unicast_frag":  # its inner frame is cut, and so not as long as its kind says
                assert judge(inner) == {inner_kind}


@needs_tshark
@MIXES
@VERSION
def test_every_checksum_is_right_by_wiresharks_reckoning(mix: Mix, version: int) -> None:
    protocols = ("ip", "udp", "tcp", "icmp", "icmpv6", "igmp")
    frames = [frame.data for frame in mix(version=version)]
    rows = dissect(frames, *(f"{protocol}.checksum.status" for protocol in protocols), "pim.cksum.status")
    found = {status for row in rows for cell in row for status in cell.split(",") if status}
    assert found == {"1"}  # good; 0 would be bad, 2 not checked
    assert len(rows) == len(frames)


@MIXES
@VERSION
def test_no_frame_needs_more_than_an_mtu_of_1532_bytes(mix: Mix, version: int) -> None:
    assert max(len(frame.data) for frame in mix(version=version)) <= 14 + 1532
