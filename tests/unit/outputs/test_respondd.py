import json
import random
from typing import Any

import pytest
from hypothesis import given, settings

from meshlens.outputs.respondd import (
    _enslaved_to_batadv,
    format_respondd,
    format_respondd_compact,
    mesh_interfaces,
)
from meshlens.probes.snapshot import Count, Snapshot
from tests.unit.outputs.snapshots import SMALL, snapshots


def traffic(text: str) -> dict[str, Any]:
    assert text.endswith("\n")
    assert text.count("\n") == 1
    answer = json.loads(text)
    assert list(answer) == ["traffic"]
    result: dict[str, Any] = answer["traffic"]
    return result


def expand(node: Any, prefix: str = "") -> dict[str, list[int]]:
    """Undo the nesting of the compact form by nothing but its documentation."""
    if isinstance(node, list):
        return {prefix: node}
    result: dict[str, list[int]] = {}
    for key, child in node.items():
        result |= expand(child, prefix + key)
    return result


def test_the_full_form_is_gluons() -> None:
    mcast = traffic(format_respondd(SMALL, mesh=["mesh*"]))["mcast"]
    assert mcast == {
        "mesh": {
            "mesh0": {
                "arp": {"in": {"bytes": 420, "packets": 10}, "out": {"bytes": 42, "packets": 1}},
                "icmp6": {"in": {"bytes": 0, "packets": 0}, "out": {"bytes": 0, "packets": 0}},
            }
        },
        "clients": {
            "bat0": {
                "arp": {"in": {"bytes": 4200, "packets": 100}, "out": {"bytes": 0, "packets": 0}},
                "icmp6": {"in": {"bytes": 700, "packets": 7}, "out": {"bytes": 0, "packets": 0}},
            }
        },
    }


def test_the_compact_form_drops_zeros_and_nests_ids_by_prefix() -> None:
    counts = (
        Count("IP4:IGMP", "mesh0", "in", 1, 60),
        Count("IP4:IGMP", "mesh0", "out", 2, 120),
        Count("IP4:IGMP:LEAVE", "mesh0", "in", 3, 180),
        Count("IP4:IGMP:LEAVE", "mesh0", "out", 0, 0),
        Count("IP4:MC", "mesh0", "in", 0, 0),
        Count("IP4:MC", "mesh0", "out", 4, 240),
        Count("ARP", "mesh0", "in", 0, 0),
        Count("ARP", "mesh0", None, 5, 300),
        Count("IPX", "mesh0", "in", 0, 0),
    )
    assert traffic(format_respondd_compact(Snapshot(0, counts), mesh=["mesh0"]))["mcast"] == {
        "mesh": {
            "mesh0": {
                "IP4:": {"IGMP": [1, 60, 2, 120], "IGMP:": {"LEAVE": [3, 180]}, "MC": [0, 0, 4, 240]},
                "ARP": [0, 0, 0, 0, 5, 300],
            }
        }
    }


@pytest.mark.parametrize("form", [format_respondd, format_respondd_compact])
def test_helper_filters_are_left_out_and_missed_frames_told(form: Any) -> None:
    snapshot = Snapshot(0, (Count("%helper", "mesh0", "in", 1, 60),), {"map full": 2})
    answer = traffic(form(snapshot, mesh=[]))
    assert "helper" not in str(answer)
    assert answer["mcast_missed"] == {"map full": 2}


@settings(deadline=None)
@given(snapshots())
def test_both_forms_tell_every_number_of_every_snapshot(snapshot: Snapshot) -> None:
    full = traffic(format_respondd(snapshot, mesh=["mesh*"]))["mcast"]
    compact = traffic(format_respondd_compact(snapshot, mesh=["mesh*"]))["mcast"]
    for count in snapshot.counts:
        if count.filter.startswith("%"):
            continue
        group = "mesh" if count.interface.startswith("mesh") else "clients"
        direction = count.direction or "unknown"
        numbers = full[group][count.interface][count.filter][direction]
        assert numbers == {"packets": count.packets, "bytes": count.bytes}
        arrays = expand(compact[group][count.interface])
        at = 2 * ["in", "out", "unknown"].index(direction)
        pair = arrays.get(count.filter, [])[at : at + 2] or [0, 0]
        assert pair == [count.packets, count.bytes]


def test_a_mesh_interface_is_one_whose_master_is_batman_adv() -> None:
    links = [
        {"index": 1, "ifname": "lo"},
        {"index": 2, "ifname": "mesh0", "master": 4},
        {"index": 3, "ifname": "eth0", "master": 5},
        {"index": 4, "ifname": "bat0", "master": 5, ("linkinfo", "kind"): "batadv"},
        {"index": 5, "ifname": "br-client", ("linkinfo", "kind"): "bridge"},
    ]
    assert _enslaved_to_batadv(links) == {"mesh0"}


def test_the_kernel_is_asked_when_no_mesh_interfaces_are_given() -> None:
    assert mesh_interfaces() == frozenset()  # no batman-adv here: all are clients
    assert list(traffic(format_respondd(SMALL))["mcast"]) == ["clients"]


def test_the_compact_form_of_a_big_node_fits_a_datagram() -> None:
    """Gluon's list in shape: 528 filters with long ids on 6 interfaces, a tenth of the counters above 0."""
    scopes = ("", "BAT:", "BAT:BAT-BCAST:", "BAT:BAT-UCAST:")
    ids = [f"{scope}IP{4 + 2 * (i % 2)}:MC:UDP:NAME-{i}" for scope in scopes for i in range(132)]
    random_numbers = random.Random(1)
    counts = []
    for name in ids:
        for interface in ("mesh-vpn", "mesh0", "mesh1", "client0", "client1", "br-client"):
            for direction in ("in", "out"):
                packets = random_numbers.randrange(10**6) if random_numbers.random() < 0.1 else 0
                counts.append(Count(name, interface, direction, packets, 200 * packets))
    snapshot = Snapshot(0, tuple(counts))
    full = len(format_respondd(snapshot, mesh=["mesh*"]))
    compact = len(format_respondd_compact(snapshot, mesh=["mesh*"]))
    assert full > 250_000
    assert compact < 65_507 / 2
    assert compact < full / 10
