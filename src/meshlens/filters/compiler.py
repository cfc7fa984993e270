"""From a filter list to one decision graph.

libpcap parses and compiles; we execute its instructions symbolically (`cbpf`), put the diagrams of what
stands inside batman-adv frames in their places, and merge all filters (`decision.merge`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from meshlens.decision.diagram import Diagram, Verdict, graft, interval, of_empty_frame, substitute
from meshlens.decision.expr import MAX_VALUE, Expr, Space, alu, const, entry, load, meta, room
from meshlens.decision.interpret import Frame, classify
from meshlens.decision.merge import DecisionGraph, merge
from meshlens.filters.cbpf import diagram_of
from meshlens.filters.lists import FilterDef, FilterList
from meshlens.filters.pcap import FilterError, compile_cbpf
from meshlens.filters.scope import Part, rewrite
from meshlens.packet.batadv import (
    ETHERNET_HEADER_BYTES,
    VLAN_TAG_BYTES,
    AfterHeader,
    AfterTvlvs,
    HeadFragmentByContent,
    HeadFragmentByFlag,
    PacketType,
    find_type,
)

__all__ = ["CompiledList", "compile_list", "filter_diagram"]

ETHERNET: Final = 1  # DLT_EN10MB


@dataclass(frozen=True)
class CompiledList:
    """A filter list as decision graphs, which run one after another (mostly there is one).

    Each frame is counted in one slot of every graph, or in several of one with marks; slots are numbered
    through. `matches[slot]` are the positions in `filters` of those that match such a frame.
    """

    filters: tuple[FilterDef, ...]
    graphs: tuple[DecisionGraph, ...]

    @cached_property
    def matches(self) -> tuple[frozenset[int], ...]:
        return tuple(matching for graph in self.graphs for matching in graph.matches)

    @cached_property
    def first_slots(self) -> tuple[int, ...]:
        """Where the slots of each graph begin."""
        starts = [0]
        for graph in self.graphs:
            starts.append(starts[-1] + len(graph.matches))
        return tuple(starts[:-1])

    @cached_property
    def slots_of(self) -> tuple[tuple[int, ...], ...]:
        """For each filter the slots that count for it."""
        slots: list[list[int]] = [[] for _ in self.filters]
        for slot, matching in enumerate(self.matches):
            for position in matching:
                slots[position].append(slot)
        return tuple(map(tuple, slots))

    def match(self, data: bytes, wire_length: int | None = None, **meta: int) -> frozenset[int]:
        """The positions of the filters that match a frame, by the interpreter.

        `wire_length` is the frame's length before it was cut; `meta` what a hook would know: `direction`
        (0 in, 1 out) and `ifindex`.
        """
        frame = Frame(data, len(data) if wire_length is None else wire_length, meta)
        return frozenset(
            position
            for graph in self.graphs
            for slot in classify(graph, frame)
            for position in graph.matches[slot]
        )


def compile_list(filters: FilterList, *, link_type: int = ETHERNET, helpers: bool = False) -> CompiledList:
    """Compile the counted filters of a list; with `helpers` those marked by `%` as well.

    $MAC must have been replaced (FilterList.with_mac). Raises FilterError where a filter cannot be compiled.
    """
    counted = tuple(entry for entry in filters.filters if helpers or not entry.helper)
    diagrams = [_diagram_at(entry.where, entry.expression, link_type) for entry in counted]
    if filters.prefilter:
        before = _diagram_at("prefilter", filters.prefilter, link_type)
        diagrams = [graft(before, match=each, no=Verdict.NO) for each in diagrams]
    return CompiledList(counted, merge(diagrams))


def _diagram_at(where: str, expression: str, link_type: int) -> Diagram:
    try:
        return filter_diagram(expression, link_type)
    except FilterError as error:
        raise error.at(where) from None


def filter_diagram(expression: str, link_type: int = ETHERNET) -> Diagram:
    """What one expression (references and $MAC already replaced) decides about a frame.

    Raises FilterError where libpcap or the scope rules refuse it.
    """
    rewritten = rewrite(expression)
    if rewritten.batadv and link_type != ETHERNET:
        raise FilterError("batadv is found in Ethernet frames only, not in those of this interface or file")
    outer = _libpcap_diagram(rewritten.text, link_type, Space.OUTER, marked=rewritten.text != expression)
    parts: dict[Expr, Diagram] = {meta(f"part{i}"): _inside(part) for i, part in enumerate(rewritten.parts)}
    return substitute(outer, parts) if parts else outer


@cache
def _libpcap_diagram(text: str, link_type: int, space: Space, *, marked: bool = True) -> Diagram:
    return diagram_of(compile_cbpf(text, link_type), space, marked=marked)


def _inside(part: Part) -> Diagram:
    """The diagram of a piece that speaks of the inner frame, from finding that frame on."""
    inner = _libpcap_diagram(part.text, ETHERNET, Space.INNER)
    packet_type = find_type(part.version, part.type)
    assert packet_type is not None
    header = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES * part.vlan_depth
    return _locate(
        packet_type,
        header,
        lambda offset: interval(entry(offset), 1, 1, inner, Verdict.NO),
        of_empty_frame(inner),
    )


def _locate(
    packet_type: PacketType, header: int, enter: Callable[[Expr], Diagram], empty: Diagram
) -> Diagram:
    """`enter(offset)` where the packet type's rule finds an inner frame, else `empty`; see packet.batadv."""

    def field(at: int, size: int, branches: dict[tuple[int, int], Diagram]) -> Diagram:
        """Branch on the intervals of a field of the batman-adv packet; any other value is `empty`."""
        result = empty
        for (lo, hi), branch in branches.items():
            result = interval(load(Space.OUTER, None, at, size), lo, hi, branch, result)
        return interval(room(Space.OUTER, None), at + size, MAX_VALUE, result, empty)

    payload = header + packet_type.header_bytes
    match packet_type.inner:
        case AfterHeader():
            return enter(const(payload))
        case AfterTvlvs(length_offset, max_bytes):
            tvlv_bytes = load(Space.OUTER, None, header + length_offset, 2)
            return field(
                header + length_offset, 2, {(0, max_bytes): enter(alu("+", tvlv_bytes, const(payload)))}
            )
        case HeadFragmentByFlag(flag_offset, mask):
            flag = alu("&", load(Space.OUTER, None, header + flag_offset, 1), const(mask))
            tested = interval(flag, 1, mask, enter(const(payload)), empty)
            return interval(room(Space.OUTER, None), header + flag_offset + 1, MAX_VALUE, tested, empty)
        case HeadFragmentByContent(nested):
            return field(
                payload,
                2,
                {
                    (number << 8 | version,) * 2: enter(const(payload + size))
                    for number, version, size in nested
                },
            )
        case None:
            return empty
