"""Parts of `meshlens serve` that need no kernel: sd_notify, times, who may listen where, --check."""

import os
import socket
from pathlib import Path

import pytest

from meshlens.cli import notify
from meshlens.cli.main import run
from meshlens.cli.serve_http import listen
from meshlens.cli.serve_settings import Settings
from meshlens.cli.times import parse_duration, parse_time, show_time
from meshlens.errors import MeshlensError, UsageError


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_by_a_datagram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"@meshlens-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify.ready("4 probes")
        notify.reloading()
        notify.stopping()
        assert systemd.recv(100) == b"READY=1\nSTATUS=4 probes"
        assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert systemd.recv(100) == b"STOPPING=1"


def test_without_systemd_or_if_it_is_gone_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.ready("x")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.ready("x")


def test_the_watchdogs_time_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert notify.watchdog_s() == 60
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert notify.watchdog_s() is None
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert notify.watchdog_s() == 60
    monkeypatch.delenv("WATCHDOG_USEC")
    assert notify.watchdog_s() is None


def test_durations_and_times_are_read_as_people_type_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [parse_duration(text) for text in ("90s", "1.5m", "1h30m", "2d", "1w")] == [
        90, 90, 5400, 172_800, 604_800,
    ]  # fmt: skip
    now = 1_795_428_000_000_000_000
    assert parse_time("1h", now) == now - 3600 * 10**9
    assert parse_time("now", now) == now
    assert parse_time("2026-11-23T10:00Z", 0) == now
    assert parse_time("2026-11-23T11:00+01:00", 0) == now
    assert parse_time(show_time(now / 1e9), 0) == now  # local both ways


@pytest.mark.parametrize("text", ["", "5", "h", "1y", "1h 5", "-1h", "1h-", "tomorrow"])
def test_what_is_no_duration_and_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"{text!r} is no duration: say 90s"):
        parse_duration(text)
    with pytest.raises(UsageError, match=f"{text!r} is no"):
        parse_time(text, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_on_this_machine_it_listens_without_a_token(host: str) -> None:
    listener, token = listen(Settings(listen=f"{host}:0"))
    listener.close()
    assert token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "example.org"])  # noqa: S104
def test_elsewhere_it_refuses_to_without_one(host: str) -> None:
    with pytest.raises(UsageError, match="can be reached by others: give a --token-file"):
        listen(Settings(listen=f"{host}:0"))


def test_elsewhere_it_listens_with_a_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123")
    listener, token = listen(Settings(listen="0.0.0.0:0", token_file=str(path)))
    listener.close()
    assert token == path.read_text()


def test_an_address_that_is_taken_is_said() -> None:
    listener, _ = listen(Settings(listen="127.0.0.1:0"))
    with (
        listener,
        pytest.raises(MeshlensError, match=r"cannot listen on 127\.0\.0\.1 port \d+: Address already"),
    ):
        listen(Settings(listen=f"127.0.0.1:{listener.getsockname()[1]}"))


def test_check_says_what_would_run_or_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, path = tmp_path / "my.filters", tmp_path / "m.toml"
    listed.write_text("a;arp\nb;udp port 53\n")
    path.write_text(f'interfaces = ["mesh*"]\nfilters = ["{listed}"]\nfilter = "ip"\n')
    assert run(["serve", "--config", str(path), "--check"]) == 0
    said = "right: interfaces, stations, flows, count on mesh*; 2 filters; listens on 127.0.0.1:9617\n"
    assert capsys.readouterr().out == said
    for text, complaint in (("a;arp\nb;udp prot 53\n", "'b'"), ("a;arp\na;ip\n", "my.filters:2")):
        listed.write_text(text)
        assert run(["serve", "--config", str(path), "--check"]) == 2
        assert complaint in capsys.readouterr().err
    listed.write_text("a;arp\n")
    path.write_text('filter = "udp prot 53"\n')
    assert run(["serve", "--config", str(path), "--check"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
