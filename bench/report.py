"""What a benchmark says: figures, each with the value that it should reach, and the table of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

__all__ = ["Figure", "Skip", "print_json", "print_table"]

_STYLES = {"met": "green", "missed": "bold red", "": ""}


class Skip(Exception):
    """A claim that cannot be measured here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, and the least or the most that it should be; for information without these."""

    name: str
    value: float
    unit: str
    note: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def verdict(self) -> str:
        """Whether it was "met" or "missed"; nothing where there is no target."""
        if self.at_most is None and self.at_least is None:
            return ""
        high = self.at_most is not None and self.value > self.at_most
        low = self.at_least is not None and self.value < self.at_least
        return "missed" if high or low else "met"

    @property
    def measured(self) -> str:
        return f"{_number(self.value)} {self.unit}".rstrip() + (f" ({self.note})" if self.note else "")

    @property
    def target(self) -> str:
        for relation, bound in (("≤", self.at_most), ("≥", self.at_least)):
            if bound is not None:
                return f"{relation} {_number(bound)} {self.unit}".rstrip()
        return ""


def print_table(console: Console, title: str, figures: Iterable[Figure]) -> None:
    """Print the figures of one claim."""
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    table.add_column("figure", ratio=5)
    table.add_column("target", ratio=2)
    table.add_column("measured", ratio=5)
    table.add_column("verdict", min_width=7)
    for figure in figures:
        verdict = f"[{_STYLES[figure.verdict]}]{figure.verdict}[/]" if figure.verdict else ""
        table.add_row(figure.name, figure.target, figure.measured, verdict)
    console.print(table)


def print_json(claim: str, figures: Sequence[Figure]) -> None:
    """Print one JSON object a figure, a line each."""
    for figure in figures:
        print(json.dumps({"claim": claim, **asdict(figure), "verdict": figure.verdict}, ensure_ascii=False))


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"
