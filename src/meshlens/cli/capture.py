"""`meshlens capture`: write frames to pcapng files, filtered and laid out in the kernel."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from meshlens import __version__
from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.errors import UsageError
from meshlens.probes.capture.files import STANDARD_OUTPUT, CaptureOutput, Rotation
from meshlens.probes.capture.frame import CAPTURE_POINTS
from meshlens.probes.capture.session import (
    DEFAULT_SNAPSHOT_BYTES,
    MIN_SNAPSHOT_BYTES,
    CaptureSession,
    CaptureSettings,
)

__all__ = ["command"]

EXAMPLES = """
ARP inside the broadcasts of a batman-adv mesh, which tcpdump cannot tell from the rest:
  meshlens capture -i mesh0 -w arp.pcapng 'batadv 15 bcast and arp'

All mesh interfaces into one file, in order of time, at most 1000 frames:
  meshlens capture -i 'mesh*' -c 1000 -w mesh.pcapng

Look at it live:
  meshlens capture -i eth0 udp port 53 | tshark -r -

The last hour, in 12 files of five minutes each, then end:
  meshlens capture -i eth0 -G 300 -W 12 -w 'eth0-%H%M%S.pcapng'
"""

WHAT, FILES = "What to capture", "Files"
MEGABYTE, KIBIBYTE = 1_000_000, 1024


@click.command("capture", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[EXPR]")
@option("-i", "--interface", "interfaces", multiple=True, required=True, metavar="IFACE", section=WHAT,
        shell_complete=complete_interface,
        help="Capture on this interface, or on those that fit a glob like 'mesh*'; can be given several "
        "times.")  # fmt: skip
@option("--at", "points", multiple=True, type=click.Choice(CAPTURE_POINTS), default=("tc-in", "tc-out"),
        section=WHAT, help="Where: tc-in what comes in, tc-out what goes out (both by default); entry what "
        "the driver gives to XDP, exit what its XDP program leaves, with the verdict. Can be given several "
        "times.")  # fmt: skip
@option("-s", "--snapshot-length", "snapshot_bytes", metavar="BYTES", default=0,
        type=click.IntRange(0, DEFAULT_SNAPSHOT_BYTES), section=WHAT,
        help=f"Keep so many bytes of each frame, at least {MIN_SNAPSHOT_BYTES}; 0 is the default, "
        f"{DEFAULT_SNAPSHOT_BYTES}.")  # fmt: skip
@option("-c", "--count", "limit", type=click.IntRange(min=1), metavar="FRAMES", section=WHAT,
        help="End after so many frames. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@option("-B", "--buffer-size", "buffer_kib", type=click.IntRange(min=1, max=1 << 20), metavar="KIB",
        default=16384, section=WHAT,
        help="How much may wait to be written before frames are dropped (default: 16384).")  # fmt: skip
@option("-w", "--write", "path", default=STANDARD_OUTPUT, metavar="FILE", section=FILES,
        help="Write to this file. Default: '-', standard output.")  # fmt: skip
@option("-C", "--file-size", "megabytes", type=click.FloatRange(min=0, min_open=True), metavar="MB",
        section=FILES, help="Begin a new file before one exceeds so many 1,000,000 bytes: FILE, FILE1, "
        "FILE2...")  # fmt: skip
@option("-G", "--rotate-seconds", "seconds", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
        section=FILES, help="Begin a new file so often; FILE is a pattern for strftime(3).")  # fmt: skip
@option("-W", "--files", "files", type=click.IntRange(min=1), metavar="N", section=FILES,
        help="With -C, begin with the first file again after N; with -G, end after N.")  # fmt: skip
def command(
    words: tuple[str, ...],
    interfaces: tuple[str, ...],
    points: tuple[str, ...],
    snapshot_bytes: int,
    limit: int | None,
    buffer_kib: int,
    path: str,
    megabytes: float | None,
    seconds: float | None,
    files: int | None,
) -> None:
    """Write the frames of interfaces that match EXPR, a tcpdump filter, to a pcapng file.

    Filter and file format are the kernel's work: no frame is touched one by one in user space. `batadv` looks
    inside the frames of a batman-adv mesh. At the end, what was captured, filtered out and dropped is told
    for each interface, and stands in the file as well.
    """
    logging.basicConfig(format="meshlens: %(message)s")
    if path == STANDARD_OUTPUT and sys.stdout.isatty():
        raise UsageError(
            "a capture is not for a terminal: give -w FILE, or pipe it, as in '... | tshark -r -'"
        )
    if 0 < snapshot_bytes < MIN_SNAPSHOT_BYTES:
        raise UsageError(
            f"-s {snapshot_bytes} is too short: give 0 for everything, or {MIN_SNAPSHOT_BYTES} on"
        )
    rotation = Rotation(int(megabytes * MEGABYTE) if megabytes else None, seconds, files)
    rotation.check()
    settings = CaptureSettings(
        interfaces,
        " ".join(words),
        tuple(point for point in CAPTURE_POINTS if point in points),
        snapshot_bytes or DEFAULT_SNAPSHOT_BYTES,
        limit,
        buffer_kib * KIBIBYTE,
    )
    with CaptureSession(settings) as session:
        _capture(session, path, rotation)


def _capture(session: CaptureSession, path: str, rotation: Rotation) -> None:
    """Write until the end, whatever that is, and tell what became of the frames."""
    output = CaptureOutput(path, lambda: session.header(f"meshlens {__version__}"), session.trailer, rotation)
    drop_capabilities(ATTACHING | ({"dac_override"} if rotation else set()))
    if session.waiting:
        click.echo("meshlens: no interface to capture on yet; waiting for one", err=True)
    signals: list[int] = []
    try:
        with _noted_signals(session, signals):
            session.run(output)
            output.close()
    finally:
        output.abandon()
        session.close()
        _tell(session)
    if signals:
        signal.raise_signal(signals[0])


@contextmanager
def _noted_signals(session: CaptureSession, signals: list[int]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the capture between two writes; the second one ends it at once."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, _frame: object) -> None:
        signals.append(number)
        session.stop()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in numbers:
        signal.signal(number, note)
    try:
        yield
    finally:
        restore()


def _tell(session: CaptureSession) -> None:
    for name, counts in zip(session.interfaces, session.counts(), strict=True):
        line = f"{counts.captured:,} captured, {counts.filtered:,} filtered out, {counts.dropped:,} dropped"
        if counts.unjudged:
            line += f", {counts.unjudged:,} not readable by the filter"
        click.echo(f"{name}: {line}", err=True)
