import socket
import stat
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from meshlens.errors import MeshlensError
from meshlens.outputs.httpd import REQUEST_MAX_BYTES
from meshlens.outputs.prometheus import format_prometheus, serve_prometheus, write_textfile
from meshlens.outputs.serve import CLIENT_TIMEOUT_S
from meshlens.probes.snapshot import Count, Snapshot
from tests.unit.outputs.snapshots import HOSTILE_IDS, SMALL, snapshots

PACKETS, BYTES = "meshlens_filter_packets_total", "meshlens_filter_bytes_total"
MISSED = "meshlens_missed_packets_total"


def parse(text: str) -> list[Sample]:
    """By Prometheus' own Python client; every family must be a counter with a help text."""
    samples = []
    for family in text_string_to_metric_families(text):
        assert family.type == "counter"
        assert family.documentation
        samples += family.samples
    return samples


def labels_of(name: str) -> dict[str, str]:
    """The labels that a filter of this name gets, besides where it was counted."""
    sample = parse(format_prometheus(Snapshot(0, (Count(name, "eth0", None, 1, 1),))))[0]
    assert sample.labels.pop("interface") == "eth0"
    return dict(sample.labels)


def test_each_count_is_two_counters_with_interface_and_direction() -> None:
    samples = parse(format_prometheus(SMALL))
    where = {"filter": "arp", "interface": "mesh0", "direction": "in"}
    assert Sample(PACKETS, where, 10) in samples
    assert Sample(BYTES, where, 420) in samples
    assert len(samples) == 2 * len(SMALL.counts) + 1


def test_a_direction_that_is_not_known_has_no_label() -> None:
    text = format_prometheus(Snapshot(0, (Count("arp", "a.pcap", None, 1, 60),)))
    assert f'{PACKETS}{{filter="arp",interface="a.pcap"}} 1\n' in text


def test_missed_frames_are_a_counter_by_reason_and_0_is_said_too() -> None:
    missed = parse(format_prometheus(Snapshot(0, (), {"map full": 3, "x": 0})))
    assert missed == [Sample(MISSED, {"reason": "map full"}, 3), Sample(MISSED, {"reason": "x"}, 0)]
    assert f"\n{MISSED} 0\n" in format_prometheus(Snapshot(0, ()))


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ('type="arp",subtype="request"', {"type": "arp", "subtype": "request"}),
        ('type="arp" , subtype="request"', {"type": "arp", "subtype": "request"}),
        (r'a="quote \" backslash \\ newline \n"', {"a": 'quote " backslash \\ newline \n'}),
        ('a="b",', {"a": "b"}),
        ('a="colon:comma,brace}",b="é"', {"a": "colon:comma,brace}", "b": "é"}),
        ('a="",b="c"', {"b": "c"}),
    ],
)
def test_an_id_that_is_a_list_of_labels_becomes_these_labels(name: str, labels: dict[str, str]) -> None:
    assert labels_of(name) == labels


@pytest.mark.parametrize(
    "name",
    [
        "arp",
        "IP4:MC:UDP:MDNS",
        'type="arp',
        "type=arp",
        'type="arp"x',
        'type="arp",,b="c"',
        ',type="arp"',
        '1type="arp"',
        'ty-pe="arp"',
        r'type="\"',
        '%type="arp"',
        'a="b",a="c"',
        'interface="eth0"',
        'direction="in",type="arp"',
        'filter="arp"',
        '__name__="up"',
        'a=""',
        "\\",
        '"',
    ],
)
def test_any_other_id_is_the_filter_label_unchanged(name: str) -> None:
    assert labels_of(name) == {"filter": name}


def test_ids_that_say_the_same_do_not_share_a_series() -> None:
    names = ('a="1",b="2"', 'b="2",a="1"', 'a="1",b="2",', 'filter="x"', "x")
    samples = parse(format_prometheus(Snapshot(0, tuple(Count(name, "i", "in", 1, 1) for name in names))))
    series = {frozenset(sample.labels.items()) for sample in samples if sample.name == PACKETS}
    assert len(series) == len(names)


@settings(deadline=None)
@given(snapshots(st.one_of(HOSTILE_IDS, st.from_regex(r'[ab]="[12\\]{0,2}",?([bc]="1")?', fullmatch=True))))
def test_every_number_of_every_snapshot_is_read_back_and_no_series_twice(snapshot: Snapshot) -> None:
    samples = parse(format_prometheus(snapshot))
    series = Counter((sample.name, frozenset(sample.labels.items())) for sample in samples)
    assert set(series.values()) == {1}
    for name, numbers in (
        (PACKETS, [count.packets for count in snapshot.counts]),
        (BYTES, [count.bytes for count in snapshot.counts]),
        (MISSED, list(snapshot.missed.values()) or [0]),
    ):
        assert [sample.value for sample in samples if sample.name == name] == [float(n) for n in numbers]
    for count, sample in zip(snapshot.counts, samples, strict=False):
        assert sample.labels["interface"] == count.interface
        assert sample.labels.get("direction") == count.direction
        assert sample.labels.get("filter", count.filter) == count.filter


def test_a_textfile_is_replaced_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "meshlens.prom"
    path.write_text("old")
    write_textfile(path, SMALL)
    assert path.read_text() == format_prometheus(SMALL)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_of_the_textfile_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "meshlens.prom"
    small, big = SMALL, Snapshot(0, SMALL.counts * 500)
    whole = {format_prometheus(small), format_prometheus(big)}
    write_textfile(path, small)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            write_textfile(path, big)
            write_textfile(path, small)

    writer = threading.Thread(target=write)
    writer.start()
    seen = {path.read_text() for _ in range(300)}
    stop.set()
    writer.join()
    assert seen <= whole


def test_a_textfile_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MeshlensError, match=r"cannot write .*No such file"):
        write_textfile(tmp_path / "missing" / "meshlens.prom", SMALL)
    (tmp_path / "dir.prom").mkdir()
    with pytest.raises(MeshlensError, match=r"dir\.prom"):
        write_textfile(tmp_path / "dir.prom", SMALL)
    assert [entry.name for entry in tmp_path.iterdir()] == ["dir.prom"]


def test_get_metrics_answers_with_the_counts_of_its_moment() -> None:
    numbers = iter(range(1, 10))

    def read() -> Snapshot:
        return Snapshot(0, (Count("a", "i", "in", next(numbers), 60),))

    with serve_prometheus(read) as (host, port):
        assert host == "127.0.0.1"
        for expected in (1.0, 2.0):
            connection = HTTPConnection(host, port, timeout=10)
            connection.request("GET", "/metrics?x=1", headers={"Accept": "text/plain"})
            response = connection.getresponse()
            assert response.status == 200
            assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
            assert parse(response.read().decode())[0].value == expected
            connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/metrics", 200),
        ("GET", "/", 404),
        ("GET", "/metrics/../etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/metrics", 405),
    ],
)
def test_other_methods_and_paths_get_their_status_and_no_body(method: str, path: str, status: int) -> None:
    with serve_prometheus(lambda: SMALL) as (host, port):
        connection = HTTPConnection(host, port, timeout=10)
        connection.request(method, path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (status, b"")
        connection.close()


def converse(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, timeout=2 * CLIENT_TIMEOUT_S) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    return received


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\n".ljust(REQUEST_MAX_BYTES, b"x"), b"431"),
    ],
)
def test_a_request_that_is_none_is_refused(request_bytes: bytes, status: bytes) -> None:
    with serve_prometheus(lambda: SMALL) as address:
        assert converse(address, request_bytes).startswith(b"HTTP/1.1 " + status)


def test_a_silent_client_holds_up_nobody() -> None:
    with serve_prometheus(lambda: SMALL) as address, socket.create_connection(address):
        assert b"200 OK" in converse(address, b"GET /metrics HTTP/1.0\r\n\r\n")


def test_a_client_that_drips_bytes_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshlens.outputs.httpd.CLIENT_TIMEOUT_S", 0.5)
    begin = time.monotonic()
    with serve_prometheus(lambda: SMALL) as address, socket.create_connection(address) as client:
        client.settimeout(0.1)
        while time.monotonic() - begin < 5:
            try:
                client.sendall(b"x")
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - begin < 2


def test_an_address_that_is_taken_is_an_error_that_names_it() -> None:
    with (
        serve_prometheus(lambda: SMALL) as (host, port),
        pytest.raises(MeshlensError, match=rf"cannot listen on {host} port {port}: Address already in use"),
        serve_prometheus(lambda: SMALL, port=port),
    ):
        pass


def test_the_port_is_free_again_after() -> None:
    with serve_prometheus(lambda: SMALL) as (_, port):
        pass
    with serve_prometheus(lambda: SMALL, port=port) as (_, again):
        assert again == port
