"""A model on an interface: stations are named, their packets marked, and nothing else is done to them."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import meshlens
from meshlens.classify.kernel.session import VerdictSession
from meshlens.classify.model import ONE, Leaf, Model, Split
from meshlens.cli.main import run
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R6,
    Asm,
    Link,
    MapSpec,
    MapType,
    Program,
    ProgramSpec,
    ProgramType,
    attached,
)
from meshlens.ebpf.contexts import Skb
from meshlens.errors import NotSupported, UsageError
from meshlens.outputs.listing import listing
from meshlens.outputs.metrics import MetricsPage
from meshlens.packet.capture import write_pcap
from meshlens.probes.attach import attach_at_tc
from meshlens.probes.snapshot import Direction
from meshlens.readings.rates import rates
from tests.kernel.conftest import NetNsPair

pytestmark = pytest.mark.root

#: A station is large by the size of its last packet, unknown while it is between.
MODEL = Model(
    "toy",
    "size",
    ("small", "large"),
    ("size", "packets"),
    (
        (
            Split(0, 299, 1, 2),
            Leaf(((0, ONE),)),
            Split(0, 599, 3, 4),
            Leaf(((0, ONE // 2), (1, ONE // 2))),
            Leaf(((1, ONE),)),
        ),
    ),
    least_votes=ONE // 2 + 1,
)
ROOT = Path(__file__).resolve().parents[3]
PATHS = {"PYTHONPATH": f"{ROOT}/src:{ROOT}"}
NOTHING_MISSED = {"map_full": 0, "unreadable": 0, "undecided": 0}


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def packet(source: int, size: int, to: int = 0xBB) -> bytes:
    frame = bytes.fromhex((mac(to) + mac(source)).replace(":", "")) + b"\x88\xb5"
    return frame.ljust(size, b"\0")


@pytest.fixture
def watch(netns_pair: NetNsPair, toy_task: str) -> Iterator[Callable[..., VerdictSession]]:
    """A model on the far end's interface, attached."""
    entered: list[VerdictSession] = []

    def begin(model: Model = MODEL, **options: Any) -> VerdictSession:
        entered.append(netns_pair.far.run(lambda: meshlens.verdicts(model, "veth0", **options).__enter__()))
        return entered[-1]

    yield begin
    for each in entered:
        each.close()


def named(session: VerdictSession) -> dict[str, str | None]:
    return {each.name: each.verdict for each in session.verdicts()}


def test_stations_are_named_by_their_packets(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    session = watch()
    began_ns = time.time_ns()
    netns_pair.near.send(packet(1, 100), packet(2, 1000), packet(3, 400), packet(2, 900))
    assert named(session) == {mac(1): "small", mac(2): "large", mac(3): None}
    large = next(each for each in session.verdicts() if each.verdict == "large")
    assert (large.interface, large.task, large.packets, large.runs) == ("veth0", "toy", 2, 2)
    assert large.confidence == 1
    assert [(reason.feature, reason.value) for reason in large.reasons] == [("size", 900)]
    assert abs(large.first_ns - began_ns) < 5e9
    assert session.missed == NOTHING_MISSED


def test_the_first_packets_decide_and_those_after_cost_a_look_up(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    session = watch()
    netns_pair.near.send(*[packet(1, 100)] * 4, *[packet(1, 1000)] * 5)
    (station,) = session.verdicts()
    assert (station.verdict, station.packets, station.runs) == ("small", 4, 4)
    (count,) = session.counts()
    assert (count.verdict, count.samples, count.packets, count.bytes) == ("small", 1, 9, 4 * 100 + 5 * 1000)


def test_packets_are_counted_by_class_in_both_directions(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    session = watch()
    netns_pair.near.send(packet(1, 100), packet(2, 1000), packet(3, 400))
    netns_pair.far.send(packet(0xBB, 200, to=2), packet(0xBB, 200, to=9))
    session.verdicts()
    counts = {count.verdict: (count.samples, count.packets, count.bytes) for count in session.counts()}
    assert counts == {"small": (1, 1, 100), "large": (1, 2, 1200), None: (1, 1, 400)}
    assert session.elsewhere == 1


def test_a_file_gets_the_same_verdicts_as_the_live_interface(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession], tmp_path: Path
) -> None:
    frames = [packet(number % 7, 60 + 97 * number % 1000) for number in range(40)]
    session = watch()
    netns_pair.near.send(*frames)
    write_pcap(tmp_path / "sent.pcap", frames)
    read = meshlens.verdicts(MODEL, read=tmp_path / "sent.pcap").verdicts()
    assert len(read) == 7
    live = {
        each.name: (each.verdict, each.confidence, each.reasons, each.packets) for each in session.verdicts()
    }
    assert live == {each.name: (each.verdict, each.confidence, each.reasons, each.packets) for each in read}


class Judge:
    """Counts packets by mark and priority: what others see of an action. Who comes later comes before it."""

    def __init__(self, netns: Any, direction: Direction) -> None:
        asm = Asm()
        asm.mov(R6, R1)
        place = asm.slot(4)
        asm.field(R1, R6, Skb.mark)
        asm.field(R2, R6, Skb.priority)
        asm.alu("*=", R2, 16)
        asm.alu("+=", R1, R2)
        asm.put(place, R1)
        with asm.lookup("judged", place):
            asm.mov(R1, 1)
            asm.atomic_add(R0, 0, R1, 8)
        asm.ret(-1)
        maps = {"judged": MapSpec("judged", MapType.ARRAY, 4, 8, 256)}
        self.program: Program = ProgramSpec("judge", ProgramType.SCHED_CLS, asm, maps=maps).load()
        self.link: Link = netns.run(lambda: attach_at_tc(self.program, netns.ifindex, direction)[1])

    def packets(self) -> dict[tuple[int, int], int]:
        """By (mark, priority)."""
        counted = (
            (key, int.from_bytes(value, "little")) for key, value in self.program.maps["judged"].items()
        )
        numbers = ((struct.unpack("=I", key)[0], packets) for key, packets in counted)
        return {(number % 16, number // 16): packets for number, packets in numbers if packets}

    def close(self) -> None:
        self.link.close()
        self.program.close()


def test_an_action_marks_the_packets_of_its_class_and_no_others(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    judge = Judge(netns_pair.far, "in")
    watch(actions=["large=mark:5", "large=priority:2", "unknown=mark:0x7"])
    netns_pair.near.send(
        packet(1, 100), packet(2, 1000), packet(3, 400), packet(2, 900), packet(1, 100), *[packet(2, 800)] * 6
    )
    assert judge.packets() == {(0, 0): 2, (5, 2): 8, (7, 0): 1}
    judge.close()


def test_without_an_action_nothing_is_marked(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    judge = Judge(netns_pair.far, "in")
    watch()
    netns_pair.near.send(packet(1, 100), packet(2, 1000), packet(3, 400))
    assert judge.packets() == {(0, 0): 3}
    judge.close()


def test_a_station_that_finds_no_room_is_counted_as_missed(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    session = watch(max_samples=2)
    netns_pair.near.send(*(packet(number, 100) for number in range(40)))
    kept = len(session.verdicts())
    assert kept < 40
    assert session.missed == NOTHING_MISSED | {"map_full": 40 - kept}


def test_who_is_idle_is_let_go_and_who_is_not_stays(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    session = watch(idle_s=0.3)
    netns_pair.near.send(packet(1, 100), packet(2, 100))
    assert set(named(session)) == {mac(1), mac(2)}
    for _ in range(4):
        time.sleep(0.15)
        netns_pair.near.send(packet(2, 100))
        session.verdicts()
    assert set(named(session)) == {mac(2)}
    netns_pair.near.send(packet(1, 1000))
    assert named(session)[mac(1)] == "large"


def test_nothing_stays_and_what_was_seen_can_still_be_asked_for(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    session = watch(actions=["small=mark:5"])
    netns_pair.near.send(packet(1, 100))
    assert {cost.direction for cost in session.costs()} == {"in", "out", ""}
    assert all(cost.instructions and cost.memory_bytes for cost in session.costs())
    session.close()
    assert named(session) == {mac(1): "small"}
    assert netns_pair.far.run(lambda: attached(netns_pair.far.ifindex)) == []
    assert session.costs() == []


def test_the_model_runs_on_every_cpu_at_once(
    netns_pair: NetNsPair, watch: Callable[..., VerdictSession]
) -> None:
    session = watch()

    def send(first: int) -> None:
        for _ in range(20):
            netns_pair.near.send(
                *(packet(first + number, 900 if number % 2 else 100) for number in range(50))
            )

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 100)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    expected = {mac(first + n): "large" if n % 2 else "small" for first in (0, 100) for n in range(50)}
    assert named(session) == expected
    assert sum(count.packets for count in session.counts()) == 2000
    assert session.missed == NOTHING_MISSED


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"actions": ["huge=mark:1"]}, "no class 'huge'; there are small, large, and unknown"),
        ({"actions": ["small=drop:1"]}, "'small=drop:1' is no action"),
        ({"actions": ["small=mark:0"]}, "a mark is a number from 1"),
        ({"actions": ["small=mark:0x100000000"]}, "a mark is a number from 1"),
        ({"idle_s": 0}, "more than 0"),
        ({"read": "a.pcap", "actions": ["small=mark:1"]}, "take no actions"),
    ],
)
def test_what_cannot_be_is_said(toy_task: str, options: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        meshlens.verdicts(MODEL, **options)


def test_an_interface_of_another_kind_is_refused(netns_pair: NetNsPair, toy_task: str) -> None:
    far = netns_pair.far
    far.shell("ip", "tuntap", "add", "tun0", "mode", "tun")
    with pytest.raises(NotSupported, match="tun0 does not carry Ethernet frames, which toy needs"):
        far.run(lambda: meshlens.verdicts(MODEL, "tun0").__enter__())


def test_a_model_of_another_version_is_refused(toy_task: str) -> None:
    other = Model("toy", "size", ("a",), ("colour",), ((Leaf(((0, ONE),)),),))
    with pytest.raises(UsageError, match="no feature 'colour'"):
        meshlens.verdicts(other, "veth0")


def test_on_the_command_line_a_model_says_what_is_on_an_interface(
    netns_pair: NetNsPair, toy_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.json"
    path.write_text(MODEL.to_json())
    frames = [packet(1, 100), packet(2, 1000), packet(3, 400)]
    arguments = ["run", str(path), "-i", "veth0", "--json", "--costs", "--interval", "0.1"]
    code = (
        "import sys; from meshlens.classify import tasks; from meshlens.cli.main import run;"
        "tasks.TASKS['toy'] = 'tests.kernel.classify.toy_task'; sys.exit(run(sys.argv[1:]))"
    )
    command = ["ip", "netns", "exec", netns_pair.far.name, sys.executable, "-c", code, "classify", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | PATHS) as process:
        assert process.stdout
        process.stdout.readline()  # the first summary: it is attached
        netns_pair.near.send(*frames)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        lines = process.stdout.read().splitlines()
    assert process.returncode == 130
    *stations, summary, costs = map(json.loads, lines[-5:])
    assert {each["name"]: each["verdict"] for each in stations} == {
        mac(1): "small", mac(2): "large", mac(3): None
    }  # fmt: skip
    assert (summary["samples"], summary["missed"]) == (3, 0)
    assert len(costs["costs"]) == 3
    write_pcap(tmp_path / "sent.pcap", frames)
    assert run(["classify", "run", str(path), "--read", str(tmp_path / "sent.pcap")]) == 0
    text = capsys.readouterr().out
    assert re.search(rf"{mac(2)} +large +100 % +1 +size 1000\n", text)
    assert re.search(rf"{mac(3)} +unknown +50 % +1\n", text)
    assert "3 stations, 0 more without a verdict; missed: 0 packets" in text


def test_a_model_is_explained(toy_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.json"
    path.write_text(MODEL.to_json())
    assert run(["classify", "explain", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["trees"], told["nodes"], told["graph_nodes"], told["most_tests"]) == (1, 5, 4, 1)
    assert told["most_sums"] == 2
    assert len(told["programs"]) == len(told["verified"]) == 1
    assert told["verified"][0] > 50
    assert run(["classify", "explain", str(path), "--emit", "asm"]) == 0
    assert "tree 0" in capsys.readouterr().out


def test_rows_of_an_interface_are_written_as_a_table_without_addresses(
    netns_pair: NetNsPair, toy_task: str, tmp_path: Path
) -> None:
    """By the task of stations on Ethernet: what is there with their first packets."""
    words = [sys.executable, "-m", "meshlens", "classify", "features", "--task", "ethernet-station", "veth0"]
    process = netns_pair.far.run(
        lambda: subprocess.Popen(
            [*words, "-o", str(tmp_path / "f.csv")],
            env={**os.environ, **PATHS}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
    )  # fmt: skip

    def at_work() -> bool:
        return bool(netns_pair.far.run(lambda: attached(netns_pair.far.ifindex)))

    deadline = time.monotonic() + 30
    while not at_work() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.5)
    netns_pair.near.send(*[packet(1, 100)] * 8, *[packet(2, 400)] * 8)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    assert not complaints
    table = (tmp_path / "f.csv").read_text()
    assert table.count("\n") == 3
    assert table.count("veth0,") == 2
    assert mac(1) not in table


def test_a_monitor_tells_verdicts_and_metrics_have_classes_but_no_addresses(
    netns_pair: NetNsPair, toy_task: str
) -> None:
    options = {"classify": {"model": MODEL, "actions": ("large=mark:5",)}}
    opened = meshlens.monitor("veth0", probes=["classify"], options=options)  # type: ignore[arg-type]
    with closing(netns_pair.far.run(opened.__enter__)):
        netns_pair.near.send(packet(1, 100), packet(2, 1000), packet(3, 400))
        reading = opened.read()
    assert {each.name: each.verdict for each in reading.verdicts} == {
        mac(1): "small", mac(2): "large", mac(3): None
    }  # fmt: skip
    assert reading.missed == {"classify": NOTHING_MISSED}
    page = MetricsPage("0").render(reading).decode()
    assert 'meshlens_class_samples{interface="veth0",task="toy",verdict="unknown"} 1' in page
    assert 'meshlens_class_bytes_total{interface="veth0",task="toy",verdict="large"} 1000' in page
    assert mac(1) not in page
    lines = listing(reading, rates(reading, reading), width=100)
    assert any(line.startswith(mac(2)) and "large" in line for line in lines)


def test_a_monitor_without_a_model_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="the probe 'classify' classifies by a model"):
        meshlens.monitor("lo", probes=["classify"])
