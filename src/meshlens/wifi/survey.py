"""The survey of Wi-Fi statistics: what there is, in which unit, where it comes from, what shows it.

One table, data/wifi-statistics.toml; `meshlens wifi --survey` prints it, docs/wifi-statistics.md is made from
it.
"""

import json
import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["NOT_YET", "Statistic", "statistics", "survey_json", "survey_markdown", "survey_text"]

#: In the place of a command of ours: it can be had, but not by meshlens today.
NOT_YET: Final = "not yet"


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic. `meshlens`: what of ours shows it, or NOT_YET; `elsewhere`: what other tool does.

    `drivers`: where it is known to be told; "any" if nothing of a driver is needed beyond what brings the
    frame.
    """

    group: str
    name: str
    unit: str
    source: str
    meshlens: str
    drivers: str
    elsewhere: str = ""


@cache
def statistics() -> tuple[Statistic, ...]:
    """All statistics, by group."""
    table = files("meshlens.data").joinpath("wifi-statistics.toml").read_text(encoding="utf-8")
    return tuple(Statistic(**row) for row in tomllib.loads(table)["statistic"])


_COLUMNS: Final = ("statistic", "unit", "where it comes from", "meshlens", "elsewhere", "drivers")


def survey_text() -> str:
    """The survey for a terminal: group by group, a paragraph a statistic."""
    lines: list[str] = []
    for group, members in _groups():
        lines += ["", group.upper()] if lines else [group.upper()]
        for each in members:
            lines += [
                "",
                f"{each.name} ({each.unit})",
                f"  from      {each.source}",
                f"  meshlens  {each.meshlens}",
            ]
            lines += [f"  or        {each.elsewhere}"] if each.elsewhere else []
            lines += [f"  drivers   {each.drivers}"]
    return "".join(f"{line}\n" for line in lines)


def survey_json() -> str:
    """The survey as JSON lines, an object a statistic."""
    return "".join(f"{json.dumps(asdict(each))}\n" for each in statistics())


def survey_markdown() -> str:
    """The survey as tables, one a group."""
    lines: list[str] = []
    for group, members in _groups():
        lines += ["", f"## {group}", "", f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
        for each in members:
            elsewhere = _code(each.elsewhere) if each.elsewhere else ""
            shown = each.meshlens if each.meshlens == NOT_YET else _code(each.meshlens)
            lines += [
                f"| {each.name} | {each.unit} | {each.source} | {shown} | {elsewhere} | {each.drivers} |"
            ]
    return "".join(f"{line}\n" for line in lines[1:])


def _groups() -> list[tuple[str, list[Statistic]]]:
    groups: dict[str, list[Statistic]] = {}
    for each in statistics():
        groups.setdefault(each.group, []).append(each)
    return list(groups.items())


def _code(command: str) -> str:
    """`command; JSON: field` with the command as code."""
    head, *rest = command.split("; ")
    return "; ".join([f"`{head}`", *rest])
