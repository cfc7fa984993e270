"""What passed through interfaces, as a table of 80 columns and as JSON lines."""

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from meshlens.outputs.table import human
from meshlens.packet.ethertypes import ethertype_name
from meshlens.probes.traffic.layout import minus
from meshlens.probes.traffic.record import InterfaceTraffic, Traffic

__all__ = ["interfaces_json", "interfaces_table", "missed_json", "missed_line"]

_NAME: Final = "interface"
_CASTS: Final = ("unicast", "multi", "broad")
#: What the numbers leave for ethertypes, and what stands between the columns.
_SHARES_WIDTH: Final = 32


def interfaces_table(
    now: Sequence[InterfaceTraffic],
    before: Sequence[InterfaceTraffic] | None = None,
    seconds: float = 1.0,
    width: int = 80,
) -> str:
    """The table: a line for each interface and direction, then what was dropped and what XDP decided.

    Rates are those since `before`, `seconds` ago. Without it the numbers are sums, to the last digit if that
    leaves room. The shares of ethertypes are of bytes.
    """
    if before is None:
        rows = [(each, each.traffic) for each in now]
        headings, units = ("packets", "bytes", *_CASTS), (1.0, 1.0)
    else:
        earlier = {each.name: each for each in before}
        rows = [(each, _since(each, earlier.get(each.name))) for each in now]
        headings, units = ("pkt/s", "bit/s", *_CASTS), (1 / seconds, 8 / seconds)
    name_width = max([len(_NAME), *(len(each.name) for each in now)])
    number = _exact if before is None else human
    while True:
        cells = {id(each): _cells(each, units, number) for _, traffic in rows for each in traffic}
        widths = [max(map(len, column)) for column in zip(headings, *cells.values(), strict=True)]
        if number is human or name_width + sum(widths) <= width - _SHARES_WIDTH:
            break
        number = human
    lines = [f"{_NAME.ljust(name_width)} way {_aligned(headings, widths)}  of bytes"]
    for each, traffic in rows:
        for place, one in enumerate(traffic):
            name = "" if place else each.name
            line = f"{name.ljust(name_width)} {one.direction.ljust(3)} {_aligned(cells[id(one)], widths)}  "
            lines.append(line + _shares(one, width - len(line)))
        lines += _remarks(each, name_width + 1, width)
    return "".join(line.rstrip() + "\n" for line in lines)


def interfaces_json(now: Sequence[InterfaceTraffic], time_ns: int) -> Iterator[str]:
    """An object for each interface, sums since counting began; ethertypes by name, or as 0x88b5."""
    for each in now:
        yield json.dumps({
            "time_ns": time_ns,
            "interface": each.name,
            "index": each.index,
            "mac": each.mac,
            "up": each.up,
            "speed_bps": each.speed_bps,
            **{traffic.direction: _traffic_json(traffic) for traffic in each.traffic},
            "drops": each.drops,
            "verdicts": each.verdicts,
        })  # fmt: skip


def missed_line(missed: Mapping[str, int]) -> str:
    """What could not be counted."""
    return f"missed: {sum(missed.values())} packets"


def missed_json(missed: Mapping[str, int]) -> str:
    """What could not be counted, by reason."""
    return json.dumps({"missed": sum(missed.values()), "reasons": dict(missed)})


def _traffic_json(traffic: Traffic) -> dict[str, object]:
    return {
        "packets": traffic.packets,
        "bytes": traffic.bytes,
        "unicast": traffic.unicast,
        "multicast": traffic.multicast,
        "broadcast": traffic.broadcast,
        "ethertypes": {
            ethertype_name(kind): {"packets": packets, "bytes": bytes_}
            for kind, (packets, bytes_) in traffic.ethertypes.items()
        },
        "sizes": list(traffic.sizes),
    }


def _since(now: InterfaceTraffic, before: InterfaceTraffic | None) -> tuple[Traffic, ...]:
    """What came since then; nothing of an interface that is back since then, and brings its sums along."""
    earlier = {each.direction: each for each in (before or now).traffic}
    return tuple(minus(each, earlier[each.direction]) for each in now.traffic)


def _cells(traffic: Traffic, units: tuple[float, float], number: Callable[[float], str]) -> list[str]:
    packets, bytes_ = units
    casts = (traffic.unicast, traffic.multicast, traffic.broadcast)
    values = (traffic.packets * packets, traffic.bytes * bytes_, *(each * packets for each in casts))
    return [number(value) for value in values]


def _exact(value: float) -> str:
    return str(round(value))


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def _remarks(interface: InterfaceTraffic, indent: int, width: int) -> Iterator[str]:
    """Lines below an interface: that it is down, what was dropped, what XDP decided."""
    words = {
        "down": [] if interface.up else [""],
        "drops: ": [f"{name} {value}" for name, value in interface.drops.items()],
        "xdp: ": [f"{name} {value}" for name, value in interface.verdicts.items() if value],
    }
    for title, some in words.items():
        if some:
            yield from _wrapped(title + ", ".join(some), indent, width)


def _shares(traffic: Traffic, width: int) -> str:
    """The ethertypes that most bytes are of, as many as fit."""
    text = ""
    for kind, (_, bytes_) in sorted(traffic.ethertypes.items(), key=lambda item: -item[1][1]):
        share = f"{ethertype_name(kind)} {100 * bytes_ / traffic.bytes:.0f}%" if traffic.bytes else ""
        if len(text) + len(share) + 1 > width:
            break
        text += f" {share}" if text else share
    return text


def _wrapped(text: str, indent: int, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2), break_on_hyphens=False
    )
