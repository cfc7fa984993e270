"""Interfaces for scripts in the machine, where nothing else goes on; and what they print."""

import json
import socket
import subprocess
import sys
from typing import Any

__all__ = ["answer", "send", "shell", "veth"]


def shell(script: str) -> str:
    """Runs a script; its output. Raises RuntimeError with what it said."""
    done = subprocess.run(["/bin/sh", "-ec", script], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr}")
    return done.stdout


def veth(near: str, far: str, *, far_options: str = "") -> None:
    """A pair that is up and says nothing by itself."""
    shell(f"""
        modprobe veth
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        ip link add {near} type veth peer name {far} {far_options}
        ip link set {near} up
        ip link set {far} up || true
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
