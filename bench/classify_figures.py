"""What is measured about models, on which data, how it is divided, and what it should come to.

Each question is answered without leaks: groups (units, sessions, runs, files) never stand on both sides of a
split; the recipe is chosen by cross-validation with other splits than those that are measured, and where
years are kept apart, only with the years that are learnt from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from meshlens.classify.truth import Row

__all__ = ["QUESTIONS", "Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """One figure. `data` is a folder; `groups` and `rows` are the least that a label must have to be tested.

    `ways`: "grouped", macro-F1 by cross-validation; "later", macro-F1 of the rows for which `earlier` does
    not hold, by a model of those for which it does; "unknown", AUROC of known against unknown labels.
    """

    name: str
    task: str
    data: str
    label: str
    group: str
    baseline: float | None
    reach: float | None
    without: tuple[str, ...] = ()
    ways: Literal["grouped", "later", "unknown"] = "grouped"
    groups: int = 2
    rows: int = 1
    earlier: Callable[[Row], bool] = lambda row: True


def _before_2017(row: Row) -> bool:
    return row["year"] < "2017"


_WIFI: Final = ("wifi-station", "wifi_taxonomy", "label_tax")
_ETHERNET: Final = ("ethernet-station", "iot_sentinel", "type27")
_FLOW: Final = ("flow", "ndpi", "proto")
_OUI, _PORTS, _PAYLOAD = ("oui",), ("ports",), ("payload",)

QUESTIONS: Final = (
    Question("Wi-Fi model, by unit, no OUI", *_WIFI, "unit_group", 0.736, 0.80, _OUI),
    Question("Wi-Fi model, by unit, with OUI", *_WIFI, "unit_group", 0.763, 0.83),
    Question(
        "Wi-Fi model, learnt before 2017, tested after, no OUI", *_WIFI, "unit_group", 0.696, 0.76, _OUI,
        ways="later", earlier=_before_2017,
    ),
    Question(
        "Wi-Fi model, learnt before 2017, tested after, with OUI", *_WIFI, "unit_group", None, None,
        ways="later", earlier=_before_2017,
    ),
    Question("Wi-Fi model, by session, no OUI", *_WIFI, "session_group", 0.804, 0.86, _OUI),
    Question(
        "Wi-Fi, known against unknown models, by session, no OUI", *_WIFI, "session_group", 0.75, 0.88, _OUI,
        ways="unknown",
    ),
    Question(
        "Wi-Fi, known against unknown models, by unit, no OUI", *_WIFI, "unit_group", None, None, _OUI,
        ways="unknown",
    ),
    Question(
        "Wi-Fi, known against unknown models, by unit, with OUI", *_WIFI, "unit_group", None, None,
        ways="unknown",
    ),
    Question("Ethernet, 27 types, by run", *_ETHERNET, "file", 0.945, 0.965),
    Question("Ethernet, 27 types, by run, no OUI", *_ETHERNET, "file", None, None, _OUI),
    Question("Ethernet, known against unknown types, by run", *_ETHERNET, "file", None, None, ways="unknown"),
    Question(
        "flow, protocols in 5 files and 20 flows or more", *_FLOW, "file", 0.821, 0.87, groups=5, rows=20,
    ),
    Question(
        "flow, protocols in 5 files and 20 flows or more, no ports", *_FLOW, "file", 0.694, 0.76, _PORTS,
        groups=5, rows=20,
    ),
    Question(
        "flow, protocols in 5 files and 10 flows or more, no payload", *_FLOW, "file", 0.821, 0.87, _PAYLOAD,
        groups=5, rows=10,
    ),
    Question(
        "flow, protocols in 5 files and 10 flows or more, no payload, no ports", *_FLOW, "file", 0.694, 0.76,
        _PAYLOAD + _PORTS, groups=5, rows=10,
    ),
    Question("flow, all protocols in 2 files or more", *_FLOW, "file", None, None),
    Question("flow, all protocols in 2 files or more, no ports", *_FLOW, "file", None, None, _PORTS),
)  # fmt: skip
