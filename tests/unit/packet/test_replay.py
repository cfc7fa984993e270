"""Replayed frames: what goes in at one end of a veth pair comes out at the other, or says why not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meshlens.errors import UsageError
from meshlens.packet.replay import replay

needs_namespace = pytest.mark.skipif(
    not (shutil.which("unshare") and shutil.which("ip")), reason="no unshare (util-linux) or ip (iproute2)"
)


def in_namespace(script: str) -> str:
    """What the script prints, run in a network namespace of its own that has a veth pair, left and right."""
    pair = "ip link add name left mtu 1532 type veth peer name right mtu 1532"
    setup = f"{pair}; ip link set left up; ip link set right up"
    command = ["unshare", "--net", "sh", "-ec", f'{setup}; exec "$0" -c "$1"', sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    return done.stdout


RECEIVE = """
import socket, sys, time
sys.path.insert(0, "src")
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.packet.replay import ReplayError, replay

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
link.bind(("right", 0))
link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
link.settimeout(1)
frames = [frame.data for frame in (*overhead_mix(300), *payload_mix(300))]
sent = set(frames)

def received(count):
    found = []
    while len(found) < count:
        data = link.recv(65535)
        if data in sent:  # the kernel greets its IPv6 neighbours meanwhile
            found.append(data)
    return found
"""


@pytest.mark.root
@needs_namespace
def test_frames_arrive_as_they_were_in_order_and_again_from_the_first() -> None:
    script = RECEIVE + "print(replay('left', frames, count=700)); print(received(700) == (frames * 2)[:700])"
    assert in_namespace(script).split() == ["700", "True"]


@pytest.mark.root
@needs_namespace
def test_a_rate_is_kept() -> None:
    script = (
        RECEIVE
        + "t = time.monotonic(); replay('left', frames, 200, rate_pps=400); print(time.monotonic() - t)"
    )
    assert 0.45 < float(in_namespace(script)) < 2


@pytest.mark.root
@needs_namespace
def test_a_frame_that_cannot_go_is_named() -> None:
    attempt = "try: replay('left', [frames[0], bytes(1547)])\nexcept ReplayError as error: print(error)"
    script = f"{RECEIVE}\n{attempt}"
    assert "left: frame 1 of 1547 bytes: longer than the interface's MTU allows" in in_namespace(script)
    script = f"{RECEIVE}\nimport os; os.system('ip link set left down')\n{attempt}"
    assert "bytes: the interface is down" in in_namespace(script)


@pytest.mark.root
def test_an_interface_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="nowhere0: No such device; `ip link` lists the interfaces"):
        replay("nowhere0", [bytes(60)])
