import grp
import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings

from meshlens.errors import MeshlensError, UsageError
from meshlens.outputs.bpfcountd import format_bpfcountd, serve_bpfcountd
from meshlens.probes.snapshot import Count, Snapshot
from tests.unit.outputs.snapshots import SMALL, snapshots


def ask(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    return received.decode()


def test_bytes_stand_before_packets_and_directions_and_interfaces_are_summed() -> None:
    assert format_bpfcountd(SMALL) == "arp:4662:111\nicmp6:700:7\n"


def test_losses_follow_as_helper_lines_only_if_there_are_any() -> None:
    snapshot = Snapshot(0, SMALL.counts, {"map full": 3, "fallback": 0})
    assert format_bpfcountd(snapshot) == format_bpfcountd(SMALL) + "%missed:map full:0:3\n"


@settings(deadline=None)
@given(snapshots())
def test_splitting_at_the_last_two_colons_gives_every_id_and_its_sums_back(snapshot: Snapshot) -> None:
    sums: dict[str, list[int]] = {}
    for count in snapshot.counts:
        entry = sums.setdefault(count.filter, [0, 0])
        entry[0] += count.bytes
        entry[1] += count.packets
    lines = format_bpfcountd(Snapshot(0, snapshot.counts)).split("\n")
    assert lines.pop() == ""
    parsed = [line.rsplit(":", 2) for line in lines]
    assert [(name, [int(octets), int(packets)]) for name, octets, packets in parsed] == list(sums.items())


def test_each_connection_gets_the_counts_of_its_moment_and_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    numbers = iter(range(1, 10))

    def read() -> Snapshot:
        return Snapshot(0, (Count("a", "i", "in", next(numbers), 60),))

    with serve_bpfcountd(path, read):
        assert ask(path) == "a:60:1\n"
        assert ask(path) == "a:60:2\n"


def test_a_client_that_never_reads_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    # 2 MB: more than the buffer of a socket takes
    big = Snapshot(0, tuple(Count(f"{i}" + "x" * 1000, "i", "in", 1, 1) for i in range(2000)))
    with serve_bpfcountd(path, lambda: big), socket.socket(socket.AF_UNIX) as sleeper:
        sleeper.connect(str(path))
        begin = time.monotonic()
        answers: list[str] = []
        clients = [threading.Thread(target=lambda: answers.append(ask(path))) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert time.monotonic() - begin < 4  # the sleeper's time is 5 s
    assert answers == [format_bpfcountd(big)] * 8


def test_reading_is_never_done_by_two_clients_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    inside = threading.Lock()

    def read() -> Snapshot:
        assert inside.acquire(blocking=False)
        time.sleep(0.02)
        inside.release()
        return SMALL

    with serve_bpfcountd(path, read):
        answers: list[str] = []
        clients = [threading.Thread(target=lambda: answers.append(ask(path))) for _ in range(5)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert answers == [format_bpfcountd(SMALL)] * 5


def test_a_failed_read_closes_the_connection_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def read() -> Snapshot:
        raise MeshlensError("the map is gone")

    with serve_bpfcountd(tmp_path / "s.sock", read):
        assert ask(tmp_path / "s.sock") == ""
        assert ask(tmp_path / "s.sock") == ""
    assert "the map is gone" in caplog.text


def test_the_socket_has_the_mode_and_group_asked_for_and_is_gone_after(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    gid = os.getgid()
    group = grp.getgrgid(gid).gr_name
    with serve_bpfcountd(path, lambda: SMALL, mode=0o620, group=group):
        assert stat.S_IMODE(path.stat().st_mode) == 0o620
        assert path.stat().st_gid == gid
    assert not path.exists()
    with serve_bpfcountd(path, lambda: SMALL, group=str(gid)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
    with (
        pytest.raises(UsageError, match="no group 'nonesuch'"),
        serve_bpfcountd(path, lambda: SMALL, group="nonesuch"),
    ):
        pass
    assert not path.exists()


def test_the_socket_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    with serve_bpfcountd(path, lambda: SMALL):
        assert ask(path) == format_bpfcountd(SMALL)


def test_the_socket_of_a_living_process_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with serve_bpfcountd(path, lambda: SMALL):
        with pytest.raises(UsageError, match="another process answers"), serve_bpfcountd(path, lambda: SMALL):
            pass
        assert ask(path) == format_bpfcountd(SMALL)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(UsageError, match="not a socket"), serve_bpfcountd(path, lambda: SMALL):
        pass
    assert path.read_text() == "data"


def test_a_socket_that_took_our_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with serve_bpfcountd(path, lambda: SMALL):
        path.rename(tmp_path / "moved")
        path.write_text("another's")
    assert path.exists()


@pytest.mark.parametrize("name", ["no such directory/s.sock", "s" * 120])
def test_a_path_that_cannot_be_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(MeshlensError, match=name), serve_bpfcountd(tmp_path / name, lambda: SMALL):
        pass
