"""The lab: devices and a computer behind a bridge, and the one link that they share.

       devices, computer            gateway                     internet
    ┌──────────────────┐     ┌──────────────────────┐     ┌────────────────┐
    │       lan0 ──────┼─────┼─ gw0 ─ bridge ─ up0 ──┼─────┼── net0         │
    └──────────────────┘     └──────────────────────┘     └────────────────┘
                              meshlens        htb

Namespaces without names: they are gone when the processes end that live in them, however they end. The
machine's own interfaces are never touched.
"""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

__all__ = [
    "COMPUTER", "COMPUTER_MAC", "DEVICES", "INTERNET", "INTERNET_MAC", "LINK_MBIT", "Lab", "command", "lab",
]  # fmt: skip

CLONE_NEWNET: Final = 0x40000000
COMPUTER, INTERNET = "10.77.0.2", "10.77.0.1"
COMPUTER_MAC, INTERNET_MAC = "02:00:00:00:77:02", "02:00:00:00:77:01"
#: The shared link, and what recognised devices are sure to have of it; more while it is free.
LINK_MBIT, DEVICES_MBIT = 10, 1
#: htb takes a skb whose priority is the number of one of its classes into that class (tc-htb(8)): 1:20.
DEVICES: Final = 0x10020

_Context = get_context("fork")


@dataclass
class Lab:
    """Paths of the namespaces; `start` runs a function in a process that lives in one."""

    lan: str
    gateway: str
    internet: str

    def start(self, where: str, work: Callable[..., None], *arguments: Any) -> BaseProcess:
        process = _Context.Process(target=_within, args=(where, work, *arguments), daemon=True)
        process.start()
        return process


def _within(where: str, work: Callable[..., None], *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with open(where) as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            sys.exit(f"{where}: {os.strerror(ctypes.get_errno())}")
    try:
        work(*arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # the lab is taken down
        sys.exit(error.errno)


def command(line: str) -> None:
    """Run a command in the namespace of this thread."""
    done = subprocess.run(line.split(), stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{line}: {done.stderr.strip()}")


def _enter() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        sys.exit(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
    ipv6 = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1")  # else the kernel speaks by itself, and is a device too


@contextmanager
def lab() -> Iterator[Lab]:
    """This thread becomes the gateway; two others keep the other namespaces while the block lasts."""
    _enter()
    with ExitStack() as until_end:
        others = [until_end.enter_context(ThreadPoolExecutor(1, initializer=_enter)) for _ in range(2)]
        lan, internet = (other.submit(threading.get_native_id).result() for other in others)
        command(f"ip link add gw0 type veth peer name lan0 address {COMPUTER_MAC} netns {lan}")
        command(f"ip link add up0 type veth peer name net0 address {INTERNET_MAC} netns {internet}")
        until_end.callback(command, "ip link del gw0")
        until_end.callback(command, "ip link del up0")
        command("ip link add br0 type bridge")
        until_end.callback(command, "ip link del br0")
        for name in ("gw0", "up0"):
            command(f"ip link set {name} master br0")
        for name in ("gw0", "up0", "br0"):
            command(f"ip link set {name} up")
        for other, name, address in zip(others, ("lan0", "net0"), (COMPUTER, INTERNET), strict=True):
            for line in (f"ip address add {address}/24 dev {name}", f"ip link set {name} up"):
                other.submit(command, line).result()
        _shape()
        yield Lab(*(f"/proc/{os.getpid()}/task/{tid}/ns/net" for tid in
                    (lan, threading.get_native_id(), internet)))  # fmt: skip


def _shape() -> None:
    """Two classes on the shared link: 1:10 for all, 1:20 for devices, which lend each other what is free."""
    rest = LINK_MBIT - DEVICES_MBIT
    command("tc qdisc add dev up0 root handle 1: htb default 10")
    command(f"tc class add dev up0 parent 1: classid 1:1 htb rate {LINK_MBIT}mbit burst 5k cburst 5k")
    for name, rate, priority in (("1:10", rest, 0), ("1:20", DEVICES_MBIT, 1)):
        command(
            f"tc class add dev up0 parent 1:1 classid {name} htb rate {rate}mbit ceil {LINK_MBIT}mbit "
            f"prio {priority} burst 5k cburst 5k quantum 1514"
        )
        command(f"tc qdisc add dev up0 parent {name} pfifo limit 200")
