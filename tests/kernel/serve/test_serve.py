"""The daemon on real traffic: what its metrics say, what a restart keeps, what a kill leaves."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.conftest import NetNsPair
from tests.kernel.count.traffic import FILTERS, FRAMES, MTU, send, truth
from tests.kernel.serve.daemon import (
    ENVIRONMENT,
    PORT,
    PROGRAMS,
    capabilities,
    eventually,
    finish,
    get,
    history,
    metrics,
    programs,
    serving,
)

pytestmark = [pytest.mark.root]
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

PACKETS = 'meshlens_filter_packets_total{{filter="{}",interface="veth0",direction="in"}}'
RECEIVED = 'meshlens_interface_receive_packets_total{interface="veth0"}'
Config = Callable[..., Path]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Writes a configuration, and returns where it is."""

    def write(more: str = "", *, interfaces: str = '["veth0"]', interval: float = 0.2) -> Path:
        listed = tmp_path / "my.filters"
        if not listed.exists():
            listed.write_text("".join(f"{name};{text}\n" for name, (text, _) in FILTERS.items()))
        path = tmp_path / "meshlens.toml"
        head = f'interfaces = {interfaces}\nfilters = ["{listed}"]\ninterval = {interval}\n'
        path.write_text(head + more)
        return path

    return write


def test_metrics_equal_what_was_sent_and_a_signal_ends_it_cleanly(mesh: NetNsPair, config: Config) -> None:
    with serving(mesh.near, config()) as process:
        send(mesh.far)
        packets, size = truth(FRAMES)["all"]
        assert eventually(lambda: metrics(mesh.near)[RECEIVED] >= packets)
        page = metrics(mesh.near)
        assert page[RECEIVED] == packets
        assert page['meshlens_interface_receive_bytes_total{interface="veth0"}'] == size
        for name, (number, _) in truth(FRAMES).items():
            assert page[PACKETS.format(name)] == number
        from_stations = [
            value for series, value in page.items()
            if series.startswith("meshlens_station_receive_packets_total") and 'kind="station"' in series
        ]  # fmt: skip
        assert sum(from_stations) == packets
        assert not any(value for series, value in page.items() if series.startswith("meshlens_missed"))
        code, err = finish(process)
    assert code == 143
    assert err == f"meshlens: interfaces, stations, flows, count on veth0; http://127.0.0.1:{PORT}/\n"
    assert programs(mesh.near) == 0


def test_killed_it_leaves_nothing_attached(mesh: NetNsPair, config: Config) -> None:
    with serving(mesh.near, config()) as process:
        assert programs(mesh.near) == PROGRAMS + 2
        finish(process, signal.SIGKILL)
        assert eventually(lambda: programs(mesh.near) == 0)


def test_history_survives_a_restart_and_a_kill(mesh: NetNsPair, config: Config, tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    settings = config(f'[history]\nfile = "{path}"\n')
    packets = truth(FRAMES)["all"][0]

    def kept(kind: str, name: str) -> int:
        return sum(each["packets_in"] for each in history(path, kind) if each.get("name") == name)

    for turn in (1, 2):
        with serving(mesh.near, settings) as process:
            send(mesh.far)
            assert eventually(lambda: metrics(mesh.near).get(RECEIVED, 0) == packets)
            finish(process)
        assert kept("interfaces", "veth0") == turn * packets
        assert kept("filters", "arp") == turn * truth(FRAMES)["arp"][0]
    with serving(mesh.near, settings) as process:
        send(mesh.far)
        assert eventually(lambda: kept("interfaces", "veth0") == 3 * packets)  # a step of ten seconds
        finish(process, signal.SIGKILL)
    assert kept("interfaces", "veth0") == 3 * packets
    assert sum(each["packets_in"] for each in history(path, "stations")[:-1]) > 3 * packets  # inner ones, too


def test_sighup_takes_another_list_without_losing_counts(
    mesh: NetNsPair, config: Config, tmp_path: Path
) -> None:
    with serving(mesh.near, config()) as process:
        send(mesh.far)
        (tmp_path / "my.filters").write_text("all;len >= 0\nfresh;arp\n")
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: PACKETS.format("fresh") in metrics(mesh.near))
        send(mesh.far)
        twice = truth(FRAMES, times=2)["all"][0]
        assert eventually(lambda: metrics(mesh.near)[PACKETS.format("all")] == twice)
        page = metrics(mesh.near)
        assert page[PACKETS.format("fresh")] == truth(FRAMES)["arp"][0]
        assert page[RECEIVED] == twice
        assert PACKETS.format("nd") not in page
        (tmp_path / "my.filters").write_text("all;what is this\n")
        process.send_signal(signal.SIGHUP)
        assert process.stderr
        said = [process.stderr.readline() for _ in range(3)]
        assert "what was read before stays in force" in said[-1]
        assert eventually(lambda: PACKETS.format("fresh") in metrics(mesh.near))
        finish(process)


def test_sighup_takes_other_interfaces_and_outputs(mesh: NetNsPair, config: Config, tmp_path: Path) -> None:
    end = ("mesh5", "mtu", str(MTU))
    mesh.near.shell("ip", "link", "add", *end, "type", "veth", "peer", *end, "netns", mesh.far.name)
    for ns in mesh:
        ns.shell("ip", "link", "set", "mesh5", "up")
    database = f'[history]\nfile = "{tmp_path}/history.db"\n'
    with serving(mesh.near, config(database)) as process:
        send(mesh.far)
        assert eventually(lambda: metrics(mesh.near)[RECEIVED] == len(FRAMES))
        lines = tmp_path / "out.jsonl"
        config(
            f'{database}[outputs.jsonl]\nfile = "{lines}"\nkinds = ["interfaces"]\ninterval = 0.1\n',
            interfaces='["veth0", "mesh5"]',
        )
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: programs(mesh.near, "mesh5") == PROGRAMS + 2)
        assert eventually(lambda: programs(mesh.near) == PROGRAMS + 2)
        assert eventually(lines.exists)
        send(mesh.far)
        send(mesh.far, interface="mesh5")
        other = RECEIVED.replace("veth0", "mesh5")
        assert eventually(lambda: metrics(mesh.near).get(other) == len(FRAMES))
        assert eventually(
            lambda: json.loads(lines.read_text().splitlines()[-2]).get("name") in {"veth0", "mesh5"}
        )
        finish(process)
    kept = {each["name"]: each["packets_in"] for each in history(tmp_path / "history.db", "interfaces")[:-1]}
    assert kept == {"veth0": 2 * len(FRAMES), "mesh5": len(FRAMES)}


def test_a_configuration_that_is_wrong_changes_nothing(
    mesh: NetNsPair, config: Config, tmp_path: Path
) -> None:
    with serving(mesh.near, config()) as process:
        assert process.stderr
        process.stderr.readline()
        for more, complaint in (
            ("[histroy]\n", "no key histroy; did you mean history?"),
            (f'[outputs.jsonl]\nfile = "{tmp_path}/none/x"\n', f"cannot write {tmp_path}/none/x"),
        ):
            config(more)
            process.send_signal(signal.SIGHUP)
            line = process.stderr.readline()
            assert complaint in line
            assert line.endswith("what was read before stays in force\n")
        config(interfaces='["veth0", "none0"]')
        process.send_signal(signal.SIGHUP)
        assert "no interface 'none0'" in process.stderr.readline()
        send(mesh.far)
        assert eventually(lambda: metrics(mesh.near)[RECEIVED] == len(FRAMES))
        assert programs(mesh.near) == PROGRAMS + 2
        finish(process)


def test_after_the_start_it_keeps_only_what_following_interfaces_takes(
    mesh: NetNsPair, config: Config
) -> None:
    with serving(mesh.near, config(interfaces='["veth0", "mesh*"]')) as process:
        wanted = {f"{1 << 12 | 1 << 38 | 1 << 39:016x}"}  # net_admin, perfmon, bpf
        assert eventually(lambda: capabilities(process) == wanted)
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            assert (
                set(re.findall(r"^CapEff:\s*(\w+)", (thread / "status").read_text(), re.MULTILINE)) == wanted
            )
        mesh.near.shell("ip", "link", "add", "mesh5", "type", "veth", "peer", "peer5", "netns", mesh.far.name)
        mesh.near.shell("ip", "link", "set", "mesh5", "up")
        assert eventually(lambda: programs(mesh.near, "mesh5") == PROGRAMS + 2)
        finish(process)


def test_with_a_token_it_listens_for_others_and_answers_only_who_knows_it(
    mesh: NetNsPair, config: Config, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    with serving(mesh.near, config(f'listen = "0.0.0.0:{PORT}"\ntoken_file = "{secret}"\n')) as process:
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            get(mesh.near, "/metrics")
        refused.value.close()
        assert b"meshlens_build_info" in get(mesh.near, "/metrics", token=secret.read_text().strip())
        finish(process)
    command = [
        "ip",
        "netns",
        "exec",
        mesh.near.name,
        sys.executable,
        "-m",
        "meshlens",
        "serve",
        "--listen",
        "0.0.0.0:1",
    ]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert done.stderr == (
        "meshlens: 0.0.0.0 can be reached by others: give a --token-file, or listen on 127.0.0.1\n"
    )


def test_all_outputs_are_written_and_agree(mesh: NetNsPair, config: Config, tmp_path: Path) -> None:
    more = (
        f'[outputs.prometheus]\ntextfile = "{tmp_path}/m.prom"\n'
        f'[outputs.jsonl]\nfile = "{tmp_path}/m.jsonl"\n'
        f'interval = 0.1\n[outputs.influx]\nfile = "{tmp_path}/m.influx"\ninterval = 0.1\n'
        f'[outputs.respondd]\nsocket = "{tmp_path}/respondd"\nfile = "{tmp_path}/m.json"\nmesh = []\n'
    )
    packets = len(FRAMES)
    with serving(mesh.near, config(more)) as process:
        send(mesh.far)
        assert eventually(lambda: metrics(mesh.near)[RECEIVED] == packets)
        assert eventually(lambda: f"{RECEIVED} {packets}\n" in (tmp_path / "m.prom").read_text())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "respondd"))
            answer = json.loads(client.makefile().read())
        assert answer["traffic"]["mcast"]["clients"]["veth0"]["all"]["in"]["packets"] == packets
        finish(process)
    answer = json.loads((tmp_path / "m.json").read_text())
    assert answer["traffic"]["mcast"]["clients"]["veth0"]["all"]["in"]["packets"] == packets
    assert not (tmp_path / "respondd").exists()
    objects = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    last = [each for each in objects if each["what"] == "interface"][-1]
    assert last["traffic"][0]["packets"] == packets
    flows = sum(each["src_packets"] + each["dst_packets"] for each in objects if each["what"] == "flow")
    assert flows > 0
    points = re.findall(
        r"^meshlens_interface,interface=veth0,direction=in packets=(\d+)i",
        (tmp_path / "m.influx").read_text(),
        re.MULTILINE,
    )
    assert int(points[-1]) == packets


def test_systemd_is_told_when_it_is_ready_reloads_and_ends(
    mesh: NetNsPair, config: Config, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)

        def told(word: str) -> bool:
            return any(word in systemd.recv(1000).decode() for _ in range(50))

        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        with serving(mesh.near, config(), environment=environment) as process:
            assert told("READY=1\nSTATUS=interfaces, stations, flows, count on veth0")
            assert told("WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            assert told("RELOADING=1")
            assert told("READY=1")
            finish(process)
            assert told("STOPPING=1")


def test_a_history_that_is_something_else_is_said_before_anything_is_attached(
    mesh: NetNsPair, config: Config, tmp_path: Path
) -> None:
    (tmp_path / "history.db").write_text("my diary" * 100)
    settings = config(f'[history]\nfile = "{tmp_path}/history.db"\n')
    command = [
        "ip",
        "netns",
        "exec",
        mesh.near.name,
        sys.executable,
        "-m",
        "meshlens",
        "serve",
        "--config",
        str(settings),
    ]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(f"meshlens: {tmp_path}/history.db is no history of meshlens")
    assert done.stderr.count("\n") == 1
    assert programs(mesh.near) == 0
