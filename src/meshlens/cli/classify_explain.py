"""`meshlens classify explain`: what a model takes in the kernel."""

import json

import click

from meshlens.cli.classify_model import model_argument
from meshlens.cli.command import Command, option
from meshlens.cli.options import json_option

__all__ = ["command"]

EXAMPLES = """
How large a model is, and what this kernel's verifier makes of it:
  meshlens classify explain devices.json

The programs that it becomes, instruction by instruction:
  meshlens classify explain devices.json --emit asm
"""


@click.command("explain", cls=Command, examples=EXAMPLES)
@model_argument()
@option("--emit", type=click.Choice(["asm"]), section="Output",
        help="Print the program itself, as disassembly.")  # fmt: skip
@json_option
def command(model_name: str, emit: str | None, as_json: bool) -> None:
    """Say what a MODEL takes in the kernel: trees, tests, programs, instructions, memory.

    Nothing is attached. Where it is permitted, this kernel is given the programs: then its verifier's effort
    and all memory are told, too.
    """
    from meshlens.classify.kernel.explain import explain_model, model_code
    from meshlens.classify.shipped import find_model

    model = find_model(model_name)
    if emit:
        for program in model_code(model):
            click.echo(program.disassemble())
        return
    explanation = explain_model(model)
    text = json.dumps(explanation.to_json()) + "\n" if as_json else explanation.to_text()
    click.echo(text, nl=False)
