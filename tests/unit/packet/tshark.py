"""Wireshark's dissectors as an oracle: what a frame is, and what is wrong with it."""

import io
import shutil
import subprocess
from collections.abc import Sequence

import pytest

from meshlens.packet.capture import write_pcap

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")

_CHECKS = ("ip.check_checksum", "udp.check_checksum", "tcp.check_checksum")


def dissect(frames: Sequence[bytes], *fields: str) -> list[list[str]]:
    """A row a frame, with the values of `fields` (several of one field in a row are joined by commas)."""
    file = io.BytesIO()
    write_pcap(file, frames)
    command = ["tshark", "-r", "-", "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"]
    for preference in _CHECKS:
        command += ["-o", f"{preference}:TRUE"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, input=file.getvalue(), capture_output=True, check=True, timeout=120)
    return [line.split("\t") for line in done.stdout.decode().splitlines()]


def complaints(frames: Sequence[bytes]) -> list[str]:
    """What Wireshark warns of or calls malformed, wrong checksums included, a line a complaint."""
    rows = dissect(frames, "frame.protocols", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message")
    bad = []
    for index, (protocols, malformed, severities, messages) in enumerate(rows):
        severe = [severity for severity in severities.split(",") if severity and int(severity) >= 0x600000]
        if malformed or severe:
            bad.append(f"{index} {protocols}: {malformed} {messages}")
    return bad
