"""A mesh of two nodes by batman-adv over a veth pair, watched from before its first frame to after its last.

The argument is the routing algorithm: BATMAN_IV or BATMAN_V. What the probes tell stands beside what
batman-adv itself counted and what tcpdump saw.
"""

import contextlib
import ctypes
import dataclasses
import os
import subprocess
import sys

import meshlens
from meshlens.filters.lists import parse_list
from tests.vm.guest.links import Capturing, Tcpdump, alone, answer, shell, timeless

PACKETS = (
    "iv_ogm",
    "bcast",
    "unicast",
    "unicast_4addr",
    "unicast_frag",
    "elp",
    "ogm2",
    "icmp",
    "unicast_tvlv",
    "mcast",
)
OUTER = "all;len >= 0\n" + "".join(f"{name};batadv 15 {name}\n" for name in PACKETS)
INNER = "bcast:arp;batadv 15 bcast and arp\nunicast:icmp;batadv 15 unicast and icmp\nlong;len > 1000\n"


def main() -> None:
    alone()
    algorithm = sys.argv[1]
    lay(algorithm)
    with contextlib.ExitStack() as stack:
        dumps = {
            f"{name}-{way}": stack.enter_context(Tcpdump(name, way))
            for name in ("e0", "bat0") for way in ("in", "out")
        }  # fmt: skip
        hard = stack.enter_context(meshlens.count(parse_list(OUTER + INNER), "e0"))
        soft = stack.enter_context(meshlens.count(parse_list("all;len >= 0\narp;arp\nicmp;icmp\n"), "bat0"))
        flows = stack.enter_context(meshlens.flows("bat0"))
        stations = stack.enter_context(meshlens.stations("e0"))
        watched = stack.enter_context(meshlens.interfaces("e0"))
        capture = stack.enter_context(Capturing("e0", points=("tc-in", "tc-out")))
        talk()
        leave()
        counts = {name: told(session) for name, session in (("e0", hard), ("bat0", soft))}
        statistics = dict(
            line.split(": ") for line in shell("batctl meshif bat0 statistics").replace("\t", "").splitlines()
        )
        seen = timeless(flows.finish())
        there = [dataclasses.asdict(station) | {"seen": []} for station in stations.stations()]
        (interface,) = watched.interfaces()
    answer({
        "counts": counts, "statistics": {name: int(value) for name, value in statistics.items()},
        "dumps": {name: dump.file for name, dump in dumps.items()}, "capture": capture.result,
        "stations": there, "stations missed": stations.missed,
        "interface": {each.direction: [each.packets, each.bytes] for each in interface.traffic},
        "flows": seen, "flows missed": flows.missed, "flows other": flows.other,
        "missed": sum(hard.snapshot().missed.values()) + sum(soft.snapshot().missed.values()),
    })  # fmt: skip


def lay(algorithm: str) -> None:
    """Two network namespaces, this process in the first; the link is up and silent, node 1 is ready."""
    shell(f"""
        modprobe batman-adv; modprobe veth
        for n in 0 1; do ip netns del n$n 2>/dev/null || true; ip netns add n$n; done
        for n in 0 1; do ip netns exec n$n sysctl -qw net.ipv6.conf.default.disable_ipv6=1; done
        ip link add e0 mtu 1560 netns n0 type veth peer name e1 mtu 1560 netns n1
        for n in 0 1; do
          ip -n n$n link set lo up; ip -n n$n link set e$n up
          ip netns exec n$n batctl meshif bat0 interface create routing_algo {algorithm}
          ip netns exec n$n batctl meshif bat0 orig_interval 200
          ip netns exec n$n batctl meshif bat0 bridge_loop_avoidance 0
          ip -n n$n addr add 10.7.0.$((n+1))/24 dev bat0; ip -n n$n link set bat0 up
        done
    """)
    with open("/run/netns/n0") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def talk() -> None:
    """Join the nodes; unicast and broadcast both ways, long ones among them."""
    shell("batctl meshif bat0 interface -M add e0; ip netns exec n1 batctl meshif bat0 interface -M add e1")
    joined = ["ping", "-c1", "-W1", "-q", "10.7.0.2"]
    for _ in range(30):
        if not subprocess.run(joined, check=False, stdout=subprocess.DEVNULL).returncode:
            break
    shell("""
        ping -c 10 -i 0.05 -q 10.7.0.2; ping -c 3 -i 0.05 -s 1400 -q 10.7.0.2
        ip netns exec n1 ping -c 5 -i 0.05 -q 10.7.0.1
        ping -c 3 -i 0.2 -b -q 10.7.0.255 || true
        ip netns exec n1 ping -c 3 -i 0.2 -b -q 10.7.0.255 || true
    """)


def leave() -> None:
    """Node 1 falls silent first, so that what it sent has come here before batman-adv lets go of the link."""
    shell("ip netns exec n1 batctl meshif bat0 interface -M del e1; sleep 0.3")
    shell("batctl meshif bat0 interface -M del e0; ip link set bat0 down; ip link set e0 down")


def told(session: meshlens.CountSession) -> dict[str, list[int]]:
    """Packets and bytes by direction and filter."""
    return {
        f"{each.direction} {each.filter}": [each.packets, each.bytes] for each in session.snapshot().counts
    }


if __name__ == "__main__":
    main()
