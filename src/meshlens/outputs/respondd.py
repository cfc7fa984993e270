"""respondd: `statistics-extended` as Gluon's package gluon-statistics-mcast shapes it, and a compact form.

Source: github.com/freifunk-gluon/gluon, pull request 2367, package/gluon-statistics-mcast/src/respondd.c. Its
answer was 416 kB on a node with six interfaces, while respondd answers by one UDP datagram of at most 65,507
bytes: hence the compact form.
"""

import json
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from meshlens.probes.snapshot import Count, Snapshot

__all__ = ["format_respondd", "format_respondd_compact", "mesh_interfaces"]

DIRECTIONS = ("in", "out", "unknown")
"""The last is a capture file's that does not tell; Gluon, which never reads one, has no word for it."""


def format_respondd(snapshot: Snapshot, mesh: Iterable[str] | None = None) -> str:
    """`traffic.mcast.<mesh|clients>.<interface>.<id>.<in|out>.{bytes,packets}`, one line of JSON.

    `mesh` are names or glob patterns of the interfaces that are mesh, the others are clients. None: those
    that are enslaved to a batman-adv interface now. Helper filters ('%') are left out, as in Gluon's package.
    What was missed is in `traffic.mcast_missed`, frames by reason.
    """

    def insert(filters: dict[str, Any], count: Count) -> None:
        filters.setdefault(count.filter, {})[count.direction or "unknown"] = {
            "bytes": count.bytes,
            "packets": count.packets,
        }

    return _format(snapshot, mesh, insert)


def format_respondd_compact(snapshot: Snapshot, mesh: Iterable[str] | None = None) -> str:
    """The same without repetition: ids nested by prefix, numbers in one array, zeros left out.

    Ids are cut after each colon: the keys between an interface and an array, joined, are the filter's id. An
    array is `[packets in, bytes in, packets out, bytes out]`, with a third pair where the direction is
    unknown; pairs of zeros at its end are cut, and a filter without any packet is absent.

    Gluon's 580 filters on six interfaces: 340 kB become 121 kB if every filter matched on every interface,
    290 kB become 20 kB if one in ten did (7 kB after deflate, which respondd applies).
    """

    def insert(filters: dict[str, Any], count: Count) -> None:
        if not count.packets:
            return
        *prefixes, last = count.filter.split(":")
        for prefix in prefixes:
            filters = filters.setdefault(prefix + ":", {})
        numbers = filters.setdefault(last, [])
        at = 2 * DIRECTIONS.index(count.direction or "unknown")
        numbers += [0] * (at + 2 - len(numbers))
        numbers[at : at + 2] = count.packets, count.bytes

    return _format(snapshot, mesh, insert)


def mesh_interfaces() -> frozenset[str]:
    """Names of the interfaces that are enslaved to a batman-adv interface in this network namespace."""
    from pyroute2 import IPRoute  # 100 ms, and only this output needs it

    with IPRoute() as netlink:
        return _enslaved_to_batadv(netlink.get_links())


def _enslaved_to_batadv(links: Iterable[Any]) -> frozenset[str]:
    links = list(links)
    batadv = {link["index"] for link in links if link.get(("linkinfo", "kind")) == "batadv"}
    return frozenset(link.get("ifname") for link in links if link.get("master") in batadv)


def _format(
    snapshot: Snapshot, mesh: Iterable[str] | None, insert: Callable[[dict[str, Any], Count], None]
) -> str:
    patterns = list(mesh_interfaces() if mesh is None else mesh)
    groups = {
        interface: "mesh" if any(fnmatchcase(interface, pattern) for pattern in patterns) else "clients"
        for interface in dict.fromkeys(count.interface for count in snapshot.counts)
    }
    mcast: dict[str, dict[str, dict[str, Any]]] = {}
    for count in snapshot.counts:
        if not count.filter.startswith("%"):
            insert(mcast.setdefault(groups[count.interface], {}).setdefault(count.interface, {}), count)
    traffic = {"mcast": mcast, "mcast_missed": snapshot.missed}
    return json.dumps({"traffic": traffic}, separators=(",", ":")) + "\n"
