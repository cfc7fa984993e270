"""The lists that come with meshlens count what their ids say, in traffic of which the truth is known."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import FilterList, parse_list
from meshlens.packet.mesh import MeshFrame, overhead_mix, payload_mix

FRAMES = [*overhead_mix(2500), *payload_mix(300)]
OWN_MAC = next(frame.data[6:12] for frame in FRAMES if frame.kind == "iv_ogm")

# Each id, and the kinds of frames that it is about.
KINDS = {
    "ALL": r".*",
    "NO-BATADV": r"client/.*",
    "OGM": r"iv_ogm",
    "ELP": r"elp",
    "OGM2": r"ogm2",
    "TVLV": r"unicast_tvlv",
    "BAT-ICMP": r"icmp",
    "BCAST": r"bcast/.*",
    "BCAST:BLA": r"bcast/bla-.*",
    "BCAST:ARP": r"bcast/arp-.*",
    "BCAST:ARP:REQUEST": r"bcast/arp-(gratuitous-)?request",
    "BCAST:ARP:GRATUITOUS": r"bcast/arp-gratuitous-.*",
    "BCAST:DHCP": r"bcast/dhcp-.*",
    "BCAST:DHCP6": r"bcast/dhcpv6-.*",
    "BCAST:ND": r"bcast/nd-.*",
    "BCAST:RA": r"bcast/router-.*",
    "BCAST:MLD": r"bcast/mld-.*",
    "BCAST:IGMP": r"bcast/igmp-.*",
    "BCAST:MDNS": r"bcast/mdns6?-.*",
    "BCAST:SSDP": r"bcast/ssdp6?-.*",
    "BCAST:NO-IP": r"bcast/(homeplug|ipx|lldp|stp)",
    "MCAST": r"mcast/.*",
    "UCAST": r"unicast/.*",
    "UCAST:ARP": r"unicast/arp-.*",
    "UCAST:TCP": r"unicast/tcp.*",
    "UCAST:UDP": r"unicast/(udp|dns|mdns|ssdp).*",
    "UCAST-4ADDR": r"unicast_4addr/.*",
    "FRAG": r"unicast_frag.*",
}


def shipped(name: str) -> FilterList:
    return parse_list((files("meshlens") / "data" / name).read_text(), source=name)


def visible_ids(filters: FilterList) -> list[str]:
    return [each.id for each in filters if not each.helper]


def expected(frame: MeshFrame) -> Iterator[str]:
    own = frame.data[6:12] == OWN_MAC
    for name, kinds in KINDS.items():
        if re.fullmatch(kinds, frame.kind):
            yield name
    if own:
        yield "SENT"
    if own and frame.kind == "iv_ogm":
        yield "OGM:SENT"


@pytest.mark.parametrize("name", ["mesh.filters", "mesh.tree"])
def test_each_filter_matches_the_frames_it_names_and_no_other(name: str) -> None:
    compiled = compile_list(shipped(name).with_mac(OWN_MAC.hex(":")))
    for frame in FRAMES:
        matched = {compiled.filters[position].id for position in compiled.match(frame.data)}
        assert matched == set(expected(frame)), frame.kind


def test_no_filter_of_the_list_stays_untested() -> None:
    seen = {name for frame in FRAMES for name in expected(frame)}
    assert seen == set(visible_ids(shipped("mesh.filters")))


def test_both_forms_have_the_same_ids_in_the_same_order() -> None:
    assert visible_ids(shipped("mesh.filters")) == visible_ids(shipped("mesh.tree"))
