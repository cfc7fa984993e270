"""Packets and bytes of stations, file by file, and what their DHCP requests and SYNs say: as tshark tells."""

import shutil
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from meshlens.errors import MeshlensError
from meshlens.packet.capture import read_capture, write_pcap
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.stations.files import FileStations
from meshlens.probes.stations.record import DhcpFingerprint, Station, StationKind, SynSignature
from tests.data import captures, needs_data

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark"),
]

OPTIONS = ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams")
FIELDS = (
    "eth.src", "eth.dst", "frame.len", "eth.type", "vlan.etype", "ip.proto", "ipv6.nxt", "ipv6.fraghdr.nxt",
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "ip.ttl", "ipv6.hlim", "tcp.flags",
    "tcp.window_size_value", "tcp.options.mss_val", "tcp.option_kind", "dhcp.option.type",
    "dhcp.option.request_list_item", "dhcp.option.vendor_class_id", "dhcp.option.hostname", "_ws.malformed",
)  # fmt: skip
#: tshark has no frame lengths of 2 GiB, and reads on in an IP header that is cut.
BEYOND = ("fuzz-2021-06-07-c6c72a0a56.pcap", "ipv6_39_byte_header.pcap")
GROUP, SYN, ACK = 0x01, 0x02, 0x10
TCP, UDP = "6", "17"
Row = dict[str, list[str]]
Numbers = tuple[int, int, int, int]


def tshark(path: Path, fields: tuple[str, ...] = FIELDS, only: str = "eth") -> list[Row]:
    """The values of each field, frame by frame."""
    command = ["tshark", "-n", "-r", str(path), "-Y", only, "-T", "fields", "-E", "separator=/t"]
    for name in OPTIONS:
        command += ["-o", f"{name}:FALSE"]
    for name in fields:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [
        {name: text.split(",") if text else [] for name, text in zip(fields, line.split("\t"), strict=True)}
        for line in done.stdout.splitlines()
    ]


def stations(path: Path) -> list[Station] | None:
    """None if the file is broken, or not of Ethernet frames without directions."""
    source = FileStations([path], "")
    try:
        source.read()
        with read_capture(path) as reader:
            plain = all(frame.link_type == 1 and frame.direction is None for frame in reader)
    except MeshlensError:
        return None
    return source.stations() if plain and not any(source.missed.values()) else None


def files(collection: str, most: int, largest: int = 1_000_000) -> list[Path]:
    few = [path for path in captures(collection) if path.stat().st_size < largest and path.name not in BEYOND]
    return few[:: max(1, len(few) // most)]


@needs_data
@pytest.mark.parametrize(
    ("collection", "least"),
    [("iot_sentinel", (30, 9, 5)), ("ndpi", (30, 5, 0)), ("tcpdump_tests", (10, 0, 0))],
)
def test_stations_of_each_file_are_as_tshark_finds(collection: str, least: tuple[int, int, int]) -> None:
    """Packets, bytes, protocols; what the first DHCP request and the first SYN say of who sent them."""
    compared = Counter[str]()
    for path in files(collection, 20):
        found = stations(path)
        if found is None:
            continue
        rows, outer = tshark(path), [each for each in found if each.kind == "station"]
        ours = {each.mac: numbers(each) for each in outer}
        assert {mac: each for mac, each in ours.items() if any(each)} == endpoints(rows), path
        if any(row["_ws.malformed"] or row["eth.type"] == ["0x88a8"] for row in rows):
            continue  # tshark gives up in the middle, or names no ethertype behind that tag
        names = protocols(rows)
        for station in outer:
            told = {name: station.protocols.get(name, 0) for name in NAMES}
            assert told == {name: names[station.mac][name] for name in NAMES}, (path, station.mac)
        requests, syns = dhcp_requests(rows), first_syns(rows)
        assert {each.mac: each.dhcp for each in outer if each.dhcp} == requests, path
        assert {each.mac: each.syn for each in outer if each.syn} == syns, path
        compared.update(stations=len(ours), syns=len(syns), requests=len(requests))
    assert compared["stations"] > least[0]
    assert compared["syns"] >= least[1]
    assert compared["requests"] >= least[2]


def endpoints(rows: list[Row]) -> dict[str, Numbers]:
    """Packets and bytes sent, packets and bytes received by every address that is not a group's."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * 4)
    for row in rows:
        for name, first in (("eth.src", 0), ("eth.dst", 2)):
            mac = row[name][0]
            sums[mac][first] += 1
            sums[mac][first + 1] += int(row["frame.len"][0])
    return {
        mac: (each[0], each[1], each[2], each[3])
        for mac, each in sums.items()
        if each[0] or not int(mac[:2], 16) & GROUP
    }


def numbers(station: Station) -> Numbers:
    return station.in_packets, station.in_bytes, station.out_packets, station.out_bytes


ETHERTYPES = {"0x0806": "arp", "0x0800": "ipv4", "0x86dd": "ipv6", "0x888e": "eapol", "0x88cc": "lldp"}
PROTOCOLS = {"1": "icmp", "2": "igmp", TCP: "tcp", UDP: "udp"}
SERVICES = {
    (TCP, "443"): "https", (TCP, "80"): "http", (TCP, "53"): "dns", (UDP, "53"): "dns", (UDP, "5353"): "mdns",
    (UDP, "67"): "dhcp", (UDP, "68"): "dhcp", (UDP, "1900"): "ssdp", (UDP, "123"): "ntp",
}  # fmt: skip
EXTENSIONS = ("0", "43", "44", "51", "60")
TAG = "0x8100"
NAMES = ("arp", "ipv4", "ipv6", "eapol", "tcp", "udp", "icmp", "igmp", "dns", "dhcp", "http", "https", "ssdp")


def network_and_transport(row: Row) -> tuple[str, str]:
    """What the outermost headers name: our name of the ethertype, the number of the IP protocol."""
    ethertypes = [*row["eth.type"][:1], *row["vlan.etype"]]
    behind = next((number for number in ethertypes[:3] if number != TAG), "")  # two tags at most
    network = ETHERTYPES.get(behind, "?")
    if network == "ipv4" and row["ip.proto"]:
        return network, row["ip.proto"][0]
    if network == "ipv6" and row["ipv6.nxt"]:
        if row["ipv6.nxt"][0] not in EXTENSIONS:
            return network, row["ipv6.nxt"][0]
        if row["ipv6.fraghdr.nxt"]:  # of a later fragment nothing else tells
            return network, row["ipv6.fraghdr.nxt"][0]
        return network, TCP if row["tcp.srcport"] else UDP if row["udp.srcport"] else ""
    return network, ""


def protocols(rows: list[Row]) -> dict[str, Counter[str]]:
    """Frames of each source and destination by name, from numbers."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        network, protocol = network_and_transport(row)
        names = {network, PROTOCOLS.get(protocol, "?")}
        transport = {TCP: "tcp", UDP: "udp"}.get(protocol, "")
        for end in ("dstport", "srcport"):  # the destination's goes before
            ports = row.get(f"{transport}.{end}", [])
            if ports and (protocol, ports[0]) in SERVICES:
                names.add(SERVICES[protocol, ports[0]])
                break
        for mac in (row["eth.src"][0], row["eth.dst"][0]):
            sums[mac].update(names)
    return sums


def dhcp_requests(rows: list[Row]) -> dict[str, DhcpFingerprint]:
    """What the first request of each source says. Padding is not an option."""
    first: dict[str, DhcpFingerprint] = {}
    for row in rows:
        if row["dhcp.option.type"] and (row["udp.srcport"], row["udp.dstport"]) == (["68"], ["67"]):
            kinds = tuple(kind for kind in map(int, row["dhcp.option.type"]) if kind not in (0, 255))
            requested = tuple(map(int, row["dhcp.option.request_list_item"]))
            texts = (",".join(row[f"dhcp.option.{name}"]) for name in ("vendor_class_id", "hostname"))
            first.setdefault(row["eth.src"][0], DhcpFingerprint(kinds, requested, *texts))
    return first


def first_syns(rows: list[Row]) -> dict[str, SynSignature]:
    """What the first SYN of each source says, up to the end of its options."""
    first: dict[str, SynSignature] = {}
    for row in rows:
        if (
            network_and_transport(row)[1] == TCP
            and row["tcp.flags"]
            and int(row["tcp.flags"][0], 16) & (SYN | ACK) == SYN
        ):
            kinds = tuple(map(int, row["tcp.option_kind"]))
            if 0 in kinds:
                kinds = kinds[: kinds.index(0) + 1]
            ttl = int((row["ip.ttl"] or row["ipv6.hlim"])[0])
            mss = int((row["tcp.options.mss_val"] or ["0"])[0])
            signature = SynSignature(ttl, int(row["tcp.window_size_value"][0]), mss, kinds)
            first.setdefault(row["eth.src"][0], signature)
    return first


#: Packets of batman-adv whose inner frame tshark dissects, and those whose originator it names.
CARRYING = ("bcast/", "unicast/", "unicast_4addr/")
NAMING = {
    "iv_ogm": "batadv.iv_ogm.orig", "unicast_4addr/": "batadv.unicast_4addr.src",
    "unicast_tvlv": "batadv.unicast_tvlv.src",
}  # fmt: skip


def test_stations_inside_batman_adv_and_originators_are_those_that_tshark_finds(tmp_path: Path) -> None:
    path = tmp_path / "mesh.pcap"
    frames = [frame for mix in (overhead_mix, payload_mix) for frame in mix(1200, version=15)]
    write_pcap(path, [frame.data for frame in frames if frame.kind.startswith(CARRYING)])
    inner = Counter(row["eth.src"][1] for row in tshark(path, ("eth.src",)))
    assert sum(inner.values()) > 100
    assert senders(path, "inner") == inner
    write_pcap(path, [frame.data for frame in frames if frame.kind.startswith(tuple(NAMING))])
    rows = tshark(path, tuple(NAMING.values()))
    originators = Counter(mac for row in rows for name in NAMING.values() for mac in row[name][:1])
    assert sum(originators.values()) > 100
    assert senders(path, "originator") == originators


def senders(path: Path, kind: StationKind) -> Counter[str]:
    found = FileStations([path], "").stations()
    return Counter({each.mac: each.in_packets for each in found if each.kind == kind and each.in_packets})
