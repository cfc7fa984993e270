"""Captures that scripts in a machine hand over, as other programs read them."""

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

__all__ = ["fields", "frames", "save"]

# The second is about tshark's dissector of ELP, not about the file.
_NO_COMPLAINTS = ("Running as user", "Dissector bug, protocol BATADV")


def save(path: Path, text: str) -> Path:
    """A file as it was in the machine."""
    path.write_bytes(base64.b64decode(text))
    return path


def fields(path: Path, *names: str, display_filter: str = "") -> list[tuple[str, ...]]:
    """These fields of each frame, by tshark, which has nothing to complain about."""
    chosen = ["-Y", display_filter] if display_filter else []
    words = [word for name in names for word in ("-e", name)]
    said = _tshark(path, ["-T", "fields", *words, *chosen])
    return [tuple(line.split("\t")) for line in said.splitlines()]


def frames(path: Path) -> list[bytes]:
    """The bytes of each frame, by tshark."""
    packets = json.loads(_tshark(path, ["-T", "jsonraw", "-j", "frame", "-x"]))
    return [bytes.fromhex(packet["_source"]["layers"]["frame_raw"][0]) for packet in packets]


def _tshark(path: Path, words: Sequence[str]) -> str:
    if not shutil.which("tshark"):
        pytest.skip("no tshark")
    command = ["tshark", "-n", "-r", str(path), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert [
        line for line in done.stderr.splitlines() if not any(known in line for known in _NO_COMPLAINTS)
    ] == []
    return done.stdout
