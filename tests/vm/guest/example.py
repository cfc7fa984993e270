"""Runs examples/retransmissions.py while a peer is silent: what it prints, and what the kernel counted."""

import contextlib
import signal
import socket
import subprocess
import sys
import time

from tests.vm.guest.links import alone, answer, shell, veth

WAIT_S = 4  # SYNs are repeated after 1 and 3 seconds


def main() -> None:
    alone()
    veth("near0", "far0")
    shell("""
        ip addr add 10.9.0.1/24 dev near0
        ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev near0
    """)
    before = repeated()
    command = [sys.executable, "examples/retransmissions.py"]
    examples = [
        subprocess.Popen([*command, hook], stdout=subprocess.PIPE, text=True) for hook in ("fentry", "kprobe")
    ]
    hooks = [example.stdout.readline().strip() for example in examples if example.stdout]
    with socket.socket() as client, contextlib.suppress(TimeoutError):
        client.settimeout(WAIT_S)
        client.connect(("10.9.0.2", 80))
    time.sleep(0.1)
    for example in examples:
        example.send_signal(signal.SIGINT)
    told = [example.communicate()[0].split() for example in examples]
    answer({"hooks": hooks, "told": told, "counted": repeated() - before})


def repeated() -> int:
    """Segments sent again, by the kernel's own count for this network namespace (/proc/net/snmp)."""
    with open("/proc/net/snmp") as lines:
        names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


if __name__ == "__main__":
    main()
