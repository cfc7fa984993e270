"""A real batman-adv mesh: our numbers are those of batman-adv's own statistics, of tcpdump and of tshark."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import meshlens
from meshlens.packet.batadv import inner_offset
from tests.vm.captures import fields, save
from tests.vm.conftest import VirtualMachine
from tests.vm.guest.links import timeless
from tests.vm.guest.mesh import PACKETS

ALGORITHMS = {"BATMAN_IV": "iv_ogm", "BATMAN_V": "ogm2"}
# include/uapi/linux/batadv_packet.h
TYPES = dict(zip(("iv_ogm", "bcast", "elp", "ogm2", "mcast"), (0, 1, 3, 4, 5), strict=True))
TYPES |= dict(
    zip(("unicast", "unicast_frag", "unicast_4addr", "icmp", "unicast_tvlv"), range(0x40, 0x45), strict=True)
)

pytestmark = pytest.mark.skipif(shutil.which("batctl") is None, reason="no batctl")


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mesh(vm: VirtualMachine, algorithm: str) -> dict[str, Any]:
    answer: dict[str, Any] = vm.ask("mesh", algorithm)
    return answer


@pytest.fixture
def dump(mesh: dict[str, Any], tmp_path: Path) -> Callable[[str], Path]:
    """tcpdump's capture of "e0-in", "bat0-out" and so on."""
    return lambda name: save(tmp_path / f"{name}.pcap", mesh["dumps"][name])


def test_the_nodes_talked_and_nothing_was_missed(mesh: dict[str, Any]) -> None:
    counts = mesh["counts"]["e0"]
    for name in ("in unicast:icmp", "out unicast:icmp", "in bcast", "out bcast", "in long", "out long"):
        assert counts[name][0] >= 3, name
    assert mesh["missed"] == 0
    assert set(mesh["flows missed"].values()) == {0}


def test_payload_is_what_batman_adv_counted(mesh: dict[str, Any]) -> None:
    counts, statistics = mesh["counts"]["bat0"], mesh["statistics"]
    packets, size = counts["out all"]
    dropped = statistics["tx_dropped"]  # no way yet, or answered from the distributed ARP table
    assert packets == statistics["tx"] + dropped
    assert dropped or size == statistics["tx_bytes"]
    assert counts["in all"] == [statistics["rx"], statistics["rx_bytes"]]


def test_routing_is_what_batman_adv_counted(mesh: dict[str, Any], algorithm: str) -> None:
    counts, statistics, messages = mesh["counts"]["e0"], mesh["statistics"], ALGORITHMS[algorithm]
    assert counts[f"out {messages}"] == [statistics["mgmt_tx"], statistics["mgmt_tx_bytes"]]
    assert counts[f"in {messages}"] == [statistics["mgmt_rx"], statistics["mgmt_rx_bytes"]]
    (other,) = set(ALGORITHMS.values()) - {messages}
    assert counts[f"in {other}"] == [0, 0]


def test_the_distributed_arp_table_is_what_batman_adv_counted(mesh: dict[str, Any]) -> None:
    counts, statistics = mesh["counts"]["e0"], mesh["statistics"]
    sent = sum(statistics[f"dat_{what}_tx"] for what in ("get", "put", "cached_reply"))
    received = sum(
        statistics[f"dat_{what}_rx"] for what in ("get", "put")
    )  # received answers it does not count
    assert counts["out unicast_4addr"][0] == sent
    assert counts["in unicast_4addr"][0] >= received


@pytest.mark.parametrize("way", ["in", "out"])
def test_each_packet_type_is_what_tcpdump_saw(
    mesh: dict[str, Any], dump: Callable[[str], Path], way: str
) -> None:
    path = dump(f"e0-{way}")
    counts = mesh["counts"]["e0"]
    assert set(TYPES) == set(PACKETS)
    for name, number in TYPES.items():
        seen = lengths(path, f"ether proto 0x4305 and ether[14] = {number} and ether[15] = 15")
        assert counts[f"{way} {name}"] == [len(seen), sum(seen)], name
    everything = lengths(path, "")
    assert counts[f"{way} all"] == [len(everything), sum(everything)]


def lengths(path: Path, expression: str) -> list[int]:
    """The frames that match, by tcpdump."""
    command = ["tcpdump", "-n", "-r", str(path), "-w", "-", expression]
    matching = subprocess.run(command, check=True, capture_output=True).stdout
    kept = path.with_suffix(".matching")
    kept.write_bytes(matching)
    with open(kept, "rb") as file:
        return [frame.wire_length for frame in meshlens.read_capture(file)]


@pytest.mark.parametrize("way", ["in", "out"])
def test_what_is_inside_is_what_tshark_finds(
    mesh: dict[str, Any], dump: Callable[[str], Path], way: str
) -> None:
    found = fields(dump(f"e0-{way}"), "frame.len", display_filter="batadv.unicast.version and icmp")
    sizes = [int(size) for (size,) in found]
    assert mesh["counts"]["e0"][f"{way} unicast:icmp"] == [len(sizes), sum(sizes)]


def test_the_neighbour_is_a_station_with_the_frames_that_tcpdump_saw(
    mesh: dict[str, Any], dump: Callable[[str], Path]
) -> None:
    received, sent = read(dump("e0-in")), read(dump("e0-out"))
    (neighbour,) = {frame[6:12] for frame in received}
    (station,) = [
        each for each in mesh["stations"] if (each["kind"], each["mac"]) == ("station", text(neighbour))
    ]
    theirs = [frame for frame in received if frame[6:12] == neighbour]
    to_it = [frame for frame in sent if frame[:6] == neighbour]
    assert (station["in_packets"], station["in_bytes"]) == (len(theirs), sum(map(len, theirs)))
    assert (station["out_packets"], station["out_bytes"]) == (len(to_it), sum(map(len, to_it)))
    assert set(mesh["stations missed"].values()) == {0}


def test_stations_inside_have_the_frames_that_are_inside(
    mesh: dict[str, Any], dump: Callable[[str], Path]
) -> None:
    expected = Counter(text(inner[6:12]) for inner in map(inside, read(dump("e0-in"))) if inner)
    stations = [each for each in mesh["stations"] if each["kind"] == "inner"]
    assert expected
    assert {each["mac"]: each["in_packets"] for each in stations if each["in_packets"]} == expected


def inside(frame: bytes) -> bytes:
    """The frame that a client sent, b"" if there is none."""
    offset = inner_offset(frame, frame[15], frame[14])
    return frame[offset:] if offset is not None else b""


def text(mac: bytes) -> str:
    return mac.hex(":")


def read(path: Path) -> list[bytes]:
    with open(path, "rb") as file:
        return [frame.data for frame in meshlens.read_capture(file)]


@pytest.mark.parametrize("way", ["in", "out"])
def test_the_interface_carried_what_tcpdump_saw(
    mesh: dict[str, Any], dump: Callable[[str], Path], way: str
) -> None:
    frames = read(dump(f"e0-{way}"))
    assert mesh["interface"][way] == [len(frames), sum(map(len, frames))]


@pytest.mark.parametrize("way", ["in", "out"])
def test_our_capture_holds_tcpdump_s_frames(
    mesh: dict[str, Any], dump: Callable[[str], Path], tmp_path: Path, way: str
) -> None:
    ours = save(tmp_path / "ours.pcapng", mesh["capture"]["file"])
    with open(ours, "rb") as file, open(dump(f"e0-{way}"), "rb") as other:
        captured = [frame.data for frame in meshlens.read_capture(file) if frame.direction == way]
        assert captured == [frame.data for frame in meshlens.read_capture(other)]


def test_flows_are_those_of_tcpdump_s_capture(
    mesh: dict[str, Any], dump: Callable[[str], Path], tmp_path: Path
) -> None:
    if shutil.which("mergecap") is None:
        pytest.skip("no mergecap")
    merged = tmp_path / "bat0.pcap"
    subprocess.run(["mergecap", "-F", "pcap", "-w", merged, dump("bat0-in"), dump("bat0-out")], check=True)
    stream = meshlens.flows(read=merged)
    assert mesh["flows"] == timeless(stream)
    assert mesh["flows other"] == stream.other
