"""Packets and bytes of flows inside batman-adv are those that tshark finds there."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import meshlens
from meshlens.packet.capture import write_pcap
from meshlens.packet.mesh import overhead_mix, payload_mix

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark"),
]

#: What tshark dissects to the end: it knows no multicast packets, and waits for fragments to be whole.
KINDS = ("bcast", "unicast", "unicast_4addr", "iv_ogm", "client")
FIELDS = ("frame.len", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
          "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport")  # fmt: skip
Ends = tuple[str, str, int, str, int]


def test_packets_and_bytes_inside_batman_adv_are_those_that_tshark_finds(tmp_path: Path) -> None:
    path = tmp_path / "mesh.pcap"
    frames = [*payload_mix(), *overhead_mix()]
    write_pcap(path, [frame.data for frame in frames if frame.kind.split("/")[0] in KINDS])
    expected, found = conversations(path), Counter[Ends]()
    for flow in meshlens.flows(read=path, idle_s=1e6, active_s=0):
        if flow.protocol in ("tcp", "udp"):
            ends = (flow.src, flow.src_port), (flow.dst, flow.dst_port)
            found[flow.inside, *ends[0], *ends[1]] += PACKET * flow.src_packets + flow.src_bytes
            found[flow.inside, *ends[1], *ends[0]] += PACKET * flow.dst_packets + flow.dst_bytes
    assert +found == expected
    assert len({ends for ends in expected if ends[0] == "batadv"}) > 500


#: A packet in a sum that has its bytes in the lower digits.
PACKET = 10**12


def conversations(path: Path) -> Counter[Ends]:
    """TCP and UDP by their ends and by what they are inside of, as tshark dissects the file."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=f", "-E", "separator=/t"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    sums = Counter[Ends]()
    for line in done.stdout.splitlines():
        length, protocols, src4, dst4, src6, dst6, *ports = line.split("\t")
        names = protocols.split(":")
        if "tcp" not in names and "udp" not in names:
            continue
        src_port, dst_port = ports[:2] if "tcp" in names else ports[2:]
        inside = "batadv" if "batadv" in names else ""
        sums[inside, src4 or src6, int(src_port), dst4 or dst6, int(dst_port)] += PACKET + int(length)
    return sums
