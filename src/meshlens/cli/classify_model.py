"""The argument that names a model: for the commands that run one."""

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

__all__ = ["model_argument"]


def model_argument() -> Callable[[Any], Any]:
    """The argument MODEL: a file, or the name of a model that comes with meshlens; both are completed."""
    return click.argument("model_name", metavar="MODEL", shell_complete=_complete)


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from meshlens.classify.shipped import shipped_models

    names = [CompletionItem(name) for name in shipped_models() if name.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]
