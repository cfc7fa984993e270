"""Where a capture is attached, and under which number each interface stands in the file."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

from meshlens.ebpf import Link, Program, attach_xdp
from meshlens.ebpf.tracing import attach_trace
from meshlens.errors import MeshlensError, NotSupported
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.errors import FilterError
from meshlens.filters.lists import FilterDef, FilterList
from meshlens.packet.pcapng_blocks import CapturedInterface
from meshlens.probes.attach import attach_at_tc
from meshlens.probes.capture.exit import check_exit_support, exit_frame
from meshlens.probes.capture.frame import CapturePoint, Frame, frame_at
from meshlens.probes.capture.program import capture_program
from meshlens.probes.capture.ring import CaptureRing
from meshlens.probes.ethtool import driver_of, speed_of
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface, link_type_of, list_interfaces, matches

__all__ = ["DEFAULT_SNAPSHOT_BYTES", "MIN_SNAPSHOT_BYTES", "CaptureSettings", "CaptureTaps"]

#: tcpdump's own; the least holds an Ethernet header with a VLAN tag.
DEFAULT_SNAPSHOT_BYTES, MIN_SNAPSHOT_BYTES = 262144, 18

#: So many interfaces can come, or return as another, while a capture runs.
_SPARE_INTERFACES = 64
_ETHERNET = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaptureSettings:
    """What to capture: `interfaces` are names or globs, `expression` as tcpdump's, "" for everything.

    `limit` is how many frames at most; `buffer_bytes` how much may wait to be written.
    """

    interfaces: Sequence[str]
    expression: str = ""
    points: Sequence[CapturePoint] = ("tc-in", "tc-out")
    snapshot_bytes: int = DEFAULT_SNAPSHOT_BYTES
    limit: int | None = None
    buffer_bytes: int = 16 << 20


class CaptureTaps(Follower[list[Link]]):
    """The links on each interface. `blocks` describes the interfaces of the file, by their numbers there.

    An interface that returns as it was goes on under its number; one that is another now, if only by its
    address, gets a further block.
    """

    doing = "captured on"

    def __init__(self, settings: CaptureSettings) -> None:
        if "exit" in settings.points:
            check_exit_support()
        super().__init__(settings.interfaces)
        self.settings = settings
        self.blocks: list[CapturedInterface] = []
        self._filter = cache(lambda link_type: _compiled(settings.expression, link_type))
        self._filter(_ETHERNET)  # what is wrong is wrong without any interface
        fitting = sum(matches(each.name, settings.interfaces) for each in list_interfaces())
        self.ring = CaptureRing(fitting + _SPARE_INTERFACES, settings.snapshot_bytes, settings.buffer_bytes)

    def begin(self, interface: Interface) -> list[Link]:
        block, settings = self._described(interface), self.settings
        number = self.blocks.index(block) if block in self.blocks else len(self.blocks)
        if number == self.ring.layout.interfaces:
            raise MeshlensError(f"the file has {number} interfaces already: begin another capture")
        compiled = self._filter(block.link_type)
        links: list[Link] = []
        with ExitStack() as undo, ExitStack() as closing:  # a link keeps its program, and a program its maps
            for point in settings.points:
                frame = exit_frame(interface) if point == "exit" else frame_at(point)
                spec = capture_program(self.ring.layout, compiled, frame, number, settings.limit)
                program = closing.enter_context(spec.load(self.ring.maps))
                for name in program.maps.keys() - self.ring.maps.keys():
                    closing.enter_context(program.maps[name])
                links.append(undo.enter_context(_attached(program, interface.index, point, frame)))
            undo.pop_all()
        if number == len(self.blocks):
            self.blocks.append(block)
        return links

    def end(self, interface: Interface, held: list[Link]) -> None:
        for link in held:
            link.close()

    def follow(self) -> None:
        before = {index: interface.name for index, (interface, _) in self.held.items()}
        super().follow()
        for index in before.keys() - self.held.keys():
            log.warning("%s is gone%s", before[index], "" if self.held else ", and no other is left: waiting")
        for index in self.held.keys() - before.keys():
            log.warning("%s is there: captured on from now", self.held[index][0].name)

    def _described(self, interface: Interface) -> CapturedInterface:
        link_type = link_type_of(interface)
        if link_type is None:
            hardware = f"ARPHRD {interface.hardware}, linux/if_arp.h"
            raise NotSupported(f"{interface.name} carries neither Ethernet nor 802.11 frames ({hardware})")
        points = " and ".join(self.settings.points)
        return CapturedInterface(
            interface.name,
            link_type,
            self.settings.snapshot_bytes,
            description=f"{driver_of(interface.name)} at {points}".strip(),
            mac=interface.mac,
            speed_bps=speed_of(interface.name),
            filter=self.settings.expression,
        )


def _compiled(expression: str, link_type: int) -> CompiledList | None:
    if not expression:
        return None
    own = FilterDef("filter", expression, 1, "filter")
    try:
        return compile_list(FilterList((own,), "filter"), link_type=link_type)
    except FilterError as error:
        raise error.at("filter") from None


def _attached(program: Program, ifindex: int, point: CapturePoint, frame: Frame) -> Link:
    match point:
        case "entry":
            return attach_xdp(program, ifindex)
        case "exit":
            return attach_trace(program)
    return attach_at_tc(program, ifindex, frame.direction)[1]
