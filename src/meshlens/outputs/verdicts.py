"""What a model says, as text: a table for people, JSON lines for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from meshlens.outputs.table import human
from meshlens.outputs.text import elide, printable
from meshlens.probes.classified import ClassCount, Classified
from meshlens.probes.cost import ProbeCost

__all__ = [
    "costs_json",
    "costs_text",
    "summary_json",
    "summary_line",
    "verdict_json",
    "verdict_name",
    "verdict_table",
]

WIDTH: Final = 80
_GAP: Final = "  "
_NAME_MAX, _VERDICT_MAX, _INTERFACE_MAX = 48, 32, 12
#: So many characters of reasons are worth a column.
_WHY_MIN: Final = 10


def verdict_name(verdict: str | None) -> str:
    """A class as it is shown: None is what the model does not know, "" what has no verdict yet."""
    return "unknown" if verdict is None else verdict or "undecided"


def verdict_table(
    found: Sequence[Classified], unit: str = "station", *, rows: int | None = None, width: int = WIDTH
) -> str:
    """The first `rows` of them in lines of at most `width` characters (80 at least), behind a heading.

    Interfaces stand there where there is more than one. Of the reasons as many as there is room for.
    """
    width, shown = max(width, WIDTH), found[:rows]
    columns = [_left(unit, [printable(each.name) for each in shown], _NAME_MAX)]
    if len({each.interface for each in shown}) > 1:
        names = [each.interface.rpartition("/")[2] for each in shown]
        columns.append(_left("interface", names, _INTERFACE_MAX))
    verdicts = [printable(verdict_name(each.verdict)) for each in shown]
    columns += [
        _left("verdict", verdicts, _VERDICT_MAX),
        _right("conf.", [f"{100 * each.confidence:.0f} %" for each in shown]),
        _right("p.", [human(each.packets) for each in shown]),
    ]
    room = width - sum(len(column[0]) + len(_GAP) for column in columns)
    if room >= _WHY_MIN:
        columns.append(["why", *(_why(each, room) for each in shown)])
    return "".join(_GAP.join(line).rstrip() + "\n" for line in zip(*columns, strict=True))


def _left(heading: str, cells: list[str], most: int) -> list[str]:
    cells = [heading, *(elide(each, most) for each in cells)]
    width = max(map(len, cells))
    return [each.ljust(width) for each in cells]


def _right(heading: str, cells: list[str]) -> list[str]:
    width = max(map(len, (heading, *cells)))
    return [each.rjust(width) for each in (heading, *cells)]


def _why(found: Classified, room: int) -> str:
    """The features that decided, with their values: as many as fit."""
    parts = [f"{reason.feature} {reason.value}" for reason in found.reasons]
    while len(text := ", ".join(parts)) > room and parts:
        parts.pop()
    return text


def verdict_json(found: Classified) -> str:
    """One of them as a JSON object in a line: the fields of Classified."""
    return json.dumps(asdict(found))


def costs_text(costs: Sequence[ProbeCost]) -> str:
    """What each program takes, a line each; those that others call have no direction."""
    return "".join(
        f"{each.interface} {each.direction or 'model'}: {each.instructions} instructions, "
        f"{each.memory_bytes} bytes\n"
        for each in costs
    )


def costs_json(costs: Sequence[ProbeCost]) -> str:
    """The same as one JSON object in a line."""
    return json.dumps({"costs": [asdict(each) for each in costs]}) + "\n"


def summary_line(unit: str, found: int, waiting: int, missed: Mapping[str, int]) -> str:
    """What is said behind the last one, in words."""
    reasons = ", ".join(f"{reason} {packets}" for reason, packets in missed.items() if packets)
    detail = f" ({reasons})" if reasons else ""
    return (
        f"{found} {unit}s, {waiting} more without a verdict; missed: {sum(missed.values())} packets{detail}"
    )


def summary_json(
    found: int, waiting: int, elsewhere: int, missed: Mapping[str, int], counts: Sequence[ClassCount]
) -> str:
    """What is said behind the last one: how many, packets by class, what was missed and why."""
    return json.dumps({
        "samples": found, "waiting": waiting, "elsewhere": elsewhere,
        "missed": sum(missed.values()), "reasons": dict(missed), "counts": [asdict(each) for each in counts],
    })  # fmt: skip
