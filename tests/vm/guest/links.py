"""Interfaces for scripts in the machine, where nothing else goes on; what looks at them, what is told."""

import base64
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from meshlens.probes.capture.files import CaptureOutput, Rotation
from meshlens.probes.capture.frame import CapturePoint
from meshlens.probes.capture.session import CaptureSession, CaptureSettings
from meshlens.probes.flows.record import Flow

__all__ = ["Capturing", "Tcpdump", "alone", "answer", "send", "shell", "timeless", "veth"]


_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000

# What a flow is apart from when and where it was seen.
FLOW_FIELDS = (
    "protocol", "src", "src_port", "dst", "dst_port", "src_packets", "src_bytes", "dst_packets", "dst_bytes",
    "src_flags", "dst_flags", "head_sizes",
)  # fmt: skip


def timeless(flows: Iterable[Flow]) -> list[str]:
    """What of the flows has to be the same wherever the frames are seen."""
    return sorted(repr([getattr(flow, name) for name in FLOW_FIELDS]) for flow in flows)


def alone() -> None:
    """Moves this process into a network namespace of its own, where no other script's interfaces are."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # /sys/class/net is about the namespace in which sysfs was mounted.
    shell("mount --make-rprivate /; mount -t sysfs sys /sys; ip link set lo up")


def shell(script: str) -> str:
    """Runs a script; its output. Raises RuntimeError with what it said."""
    done = subprocess.run(["/bin/sh", "-ec", script], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr}")
    return done.stdout


def veth(near: str, far: str, *, mtu: int = 1500) -> None:
    """A pair that is up and says nothing by itself."""
    shell(f"""
        modprobe veth
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        ip link add {near} mtu {mtu} type veth peer name {far} mtu {mtu}
        ip link set {near} up
        ip link set {far} up
    """)


def send(interface: str, *frames: bytes) -> None:
    """Puts Ethernet frames on the wire."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        for frame in frames:
            sender.send(frame)


def answer(value: Any) -> None:
    """What the test gets."""
    json.dump(value, sys.stdout)


def text(path: Path) -> str:
    """A file as JSON can hold it."""
    return base64.b64encode(path.read_bytes()).decode()


class Capturing:
    """A capture of ours, from `with` on; `result` then holds its file and its counts."""

    def __init__(
        self,
        interface: str,
        expression: str = "",
        points: Sequence[CapturePoint] = ("tc-in",),
        snapshot_bytes: int = 2000,
    ) -> None:
        settings = CaptureSettings([interface], expression, points, snapshot_bytes, buffer_bytes=4 << 20)
        self._session = CaptureSession(settings)
        self._path = Path(f"/run/{interface}.pcapng")
        self.result: dict[str, Any] = {}

    def __enter__(self) -> Self:
        session = self._session.__enter__()
        self._output = CaptureOutput(
            str(self._path), lambda: session.header("test"), session.trailer, Rotation()
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.closing(self._session):
            self._session.stop()
            self._session.run(self._output)
            self._output.close()
            (counts,) = self._session.counts()
            self.result = {"counts": counts, "file": text(self._path)}


class Tcpdump:
    """tcpdump's own capture of what comes "in" or goes "out", from `with` on; `file` then holds it."""

    def __init__(self, interface: str, direction: str) -> None:
        self._path = Path(f"/run/{interface}-{direction}.pcap")
        self._command = ["tcpdump", "-Z", "root", "--immediate-mode", "-B", "8192", "-U", "-i", interface]
        self._command += ["-Q", direction, "-w", str(self._path)]
        self.file = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr
        while "listening" not in (said := self._process.stderr.readline()):
            if not said:
                raise RuntimeError(f"{self._command} ended")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        time.sleep(0.3)  # what the kernel has, tcpdump writes
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=20)
        self.file = text(self._path)
