"""The sheet of what a model says of stations or flows."""

from typing import Final

from meshlens.outputs.sheet import Sheet, name, number
from meshlens.outputs.verdicts import verdict_name
from meshlens.probes.classified import Classified
from meshlens.readings.rates import Rates
from meshlens.readings.reading import Reading

__all__ = ["VERDICTS", "verdict_facts"]


def _lines(reading: Reading, _rates: Rates) -> list[Classified]:
    return list(reading.verdicts)


def _why(found: Classified) -> str:
    return ", ".join(f"{reason.feature} {reason.value}" for reason in found.reasons)


def verdict_facts(found: Classified) -> list[tuple[str, str]]:
    """What there is to say about one of them."""
    shares = " · ".join(f"{each.feature} {each.value} ({100 * each.share:.0f} %)" for each in found.reasons)
    return [
        (found.task, f"{found.name} · {found.interface}"),
        ("verdict", f"{verdict_name(found.verdict)} · {100 * found.confidence:.0f} %"),
        ("why", shares),
        ("looked at", f"{found.packets} packets, {found.runs} times decided"),
    ]


VERDICTS: Final[Sheet[Classified]] = Sheet(
    "verdicts",
    _lines,
    (
        name("who", lambda line: line.name, 17),
        name("verdict", lambda line: verdict_name(line.verdict), 8, 32),
        number("sure", lambda line: line.confidence, lambda share: f"{100 * share:.0f}%"),
        number("packets", lambda line: line.packets),
        name("why", _why, 10),
        name("at", lambda line: line.interface, 6, 15, level=1),
    ),
    sort=2,
    key=lambda line: (line.interface, line.name),
    words=lambda line: (line.name, verdict_name(line.verdict), line.interface),
    speed=lambda line: 0.0,
)
