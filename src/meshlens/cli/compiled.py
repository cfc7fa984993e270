"""What a list becomes, printed without attaching it anywhere: for `meshlens count --explain` and `--emit`."""

import json
from typing import Literal

import click

from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import FilterList
from meshlens.probes.count.program import Hook, count_program
from meshlens.probes.snapshot import Direction

__all__ = ["Form", "show_compiled"]

Form = Literal["text", "json", "asm", "dot"]


def show_compiled(
    filters: FilterList, form: Form, hook: Hook, direction: Direction, *, helpers: bool
) -> None:
    """Print the explanation (`text`, `json`), the program (`asm`) or the graph (`dot`)."""
    compiled = compile_list(filters, helpers=helpers)
    match form:
        case "asm":
            click.echo(count_program(compiled, hook, direction).disassemble())
        case "dot":
            from meshlens.decision.dot import to_dot

            click.echo(to_dot(compiled.graphs, [each.id for each in compiled.filters]), nl=False)
        case "text" | "json":
            from meshlens.probes.count.explain import explain

            explanation = explain(compiled, hook)
            text = explanation.to_text() if form == "text" else json.dumps(explanation.to_json()) + "\n"
            click.echo(text, nl=False)
