"""What `meshlens serve` costs: 200 stations, 580 filters, 6 interfaces, all probes, a scrape every 5 s."""

import gzip
import os
import re
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from bench.command import running, wait_attached
from bench.inputs import GLUON, list_path, overhead
from bench.network import Namespace, Sender, joined
from bench.report import Figure

_PAIRS, _STATIONS = 6, 200
_PORT = 9617
_SCRAPE_S = 5.0
#: Readings before it counts: compiling, attaching, and the first page are over.
_WARM_UP_S = 12.0
_PROGRAMS = 8  # of each interface: four probes, both directions
#: Every frame once a second, on every interface: from clients, and a few from the mesh, whose inner stations
#: and originators count as stations too.
_CLIENT_FRAMES, _MESH_FRAMES = 110, 4

_CONFIG = """
interfaces = ["veth*"]
filters = ["{filters}"]
[count]
helpers = true
[history]
file = "{directory}/history.db"
"""


def figures(quick: bool) -> Iterator[Figure]:
    measured_s = 30.0 if quick else 120.0
    with tempfile.TemporaryDirectory() as directory, joined(_PAIRS) as (near, far):
        far.ip("link", "set", "lo", "up")
        config = Path(directory) / "meshlens.toml"
        config.write_text(_CONFIG.format(filters=list_path(GLUON), directory=directory))
        senders = [Sender.on(near, f"veth{number}", _frames(number)) for number in range(_PAIRS)]
        with running(far, "serve", "--config", str(config)) as process:
            for number in range(_PAIRS):
                wait_attached(far, far.ifindex(f"veth{number}"), _PROGRAMS, process)
            _scrape_for(_WARM_UP_S, senders, far)
            begin_s, cpu_s = time.monotonic(), _cpu_s(process.pid)
            scrapes = _scrape_for(measured_s, senders, far)
            cpu = 100 * (_cpu_s(process.pid) - cpu_s) / (time.monotonic() - begin_s)
            resident, own = (_memory_mib(process.pid, field) for field in ("Rss", "Pss"))
    times, pages = zip(*scrapes, strict=True)
    page = gzip.decompress(pages[-1]).decode()
    stations = sum(map(int, re.findall(r"^meshlens_stations\{.*\} (\d+)", page, re.MULTILINE)))
    flows = sum(map(int, re.findall(r"^meshlens_flows\{.*\} (\d+)", page, re.MULTILINE)))
    note = f"{stations} stations, {flows} flows, a reading and a scrape every {_SCRAPE_S:.0f} s, with history"
    yield Figure("CPU", cpu, "% of a core", note, at_most=2)
    yield Figure("resident memory", resident, "MiB", "Rss", at_most=80)
    yield Figure("its share of memory", own, "MiB", "Pss: shared pages by halves")
    yield Figure("a scrape, gzip as Prometheus asks for it", 1000 * median(times), "ms", at_most=50)
    yield Figure("the slowest scrape", 1000 * max(times), "ms", f"{len(times)} scrapes")
    yield Figure("the page", len(page) / 1024, "KiB", f"{len(pages[-1]) // 1024} KiB compressed")


def _frames(interface: int) -> list[bytes]:
    """Traffic of this interface's stations."""
    own = range(interface, _STATIONS - 30, _PAIRS)
    addresses = [bytes((0xA4, 0xCF, 0x12, 0, station >> 8, station & 255)) for station in own]
    clients, mesh = (
        [each.data for each in overhead() if each.kind.startswith("client/") is wanted]
        for wanted in (True, False)
    )
    frames = clients[:_CLIENT_FRAMES] + mesh[:_MESH_FRAMES]
    return [
        frame[:6] + addresses[number % len(addresses)] + frame[12:] for number, frame in enumerate(frames)
    ]


def _scrape_for(seconds: float, senders: list[Sender], namespace: Namespace) -> list[tuple[float, bytes]]:
    """Send every second, ask for the page every five; how long that took, and the pages."""
    scrapes = []
    begin = time.monotonic()
    for second in range(int(seconds)):
        for sender in senders:
            sender.send()
        if second % int(_SCRAPE_S) == 0:
            scrapes.append(_scrape(namespace))
        time.sleep(max(0, begin + second + 1 - time.monotonic()))
    return scrapes


def _scrape(namespace: Namespace) -> tuple[float, bytes]:
    with namespace.inside():
        connection = HTTPConnection("127.0.0.1", _PORT, timeout=30)
        connection.connect()
    begin = time.perf_counter()
    connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    page = connection.getresponse().read()
    passed = time.perf_counter() - begin
    connection.close()
    return passed, page


def _cpu_s(pid: int) -> float:
    """User and system time of all threads (proc(5), stat: utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int, field: str) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{field}:\s*(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1]) / 1024
