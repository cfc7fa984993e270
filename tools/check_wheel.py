#!/usr/bin/env python3
"""Check an installed meshlens from outside: count a capture file made here, byte by byte, with known truth.

Usage: check_wheel.py PATH-OF-MESHLENS
"""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

BROADCAST, STATION = b"\xff" * 6, bytes.fromhex("020000000001")
ARP = BROADCAST + STATION + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + bytes(20)
BATADV_OGM = BROADCAST + STATION + struct.pack("!HBB", 0x4305, 0x00, 15) + bytes(44)
FRAMES = [ARP, BATADV_OGM, ARP]

LIST = """\
all;len > 0
arp;arp
ogm;batadv 15 iv_ogm
ip;ip
"""

# Packets and bytes of each filter.
TRUTH = {
    "all": (3, 2 * len(ARP) + len(BATADV_OGM)),
    "arp": (2, 2 * len(ARP)),
    "ogm": (1, len(BATADV_OGM)),
    "ip": (0, 0),
}


def pcap(frames: list[bytes]) -> bytes:
    """Return a little-endian pcap file of Ethernet frames."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return header + b"".join(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames)


def main(meshlens: str) -> int:
    """Count the file and compare; return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "filters.list").write_text(LIST)
        (folder / "frames.pcap").write_bytes(pcap(FRAMES))
        command = [str(Path(meshlens).absolute()), "count", "filters.list", "--read", "frames.pcap", "--json"]
        output = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    records = [json.loads(line) for line in output.splitlines()]
    counted = {
        record["filter"]: (record["packets"], record["bytes"]) for record in records if "filter" in record
    }
    if counted != TRUTH or records[-1]["missed"] != 0:
        print(f"check_wheel: the truth is {TRUTH}, none missed; counted:\n{output}", file=sys.stderr)
        return 1
    print(f"check_wheel: {len(TRUTH)} filters counted {len(FRAMES)} frames correctly")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
