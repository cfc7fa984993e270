"""The models that come with meshlens, by name, and those in files."""

import os
from importlib.resources import files
from pathlib import Path

from meshlens.classify.model import Model, read_model
from meshlens.errors import UsageError

__all__ = ["find_model", "shipped_models"]


def shipped_models() -> list[str]:
    """The names of the models that come with meshlens."""
    folder = files("meshlens") / "data" / "models"
    if not folder.is_dir():
        return []
    return sorted(each.name.removesuffix(".json") for each in folder.iterdir() if each.name.endswith(".json"))


def find_model(source: str | os.PathLike[str]) -> Model:
    """The model of a name, or in a file. Raises UsageError."""
    name = os.fspath(source)
    if name in shipped_models():
        text = (files("meshlens") / "data" / "models" / f"{name}.json").read_text(encoding="utf-8")
        return Model.from_json(text, name)
    if not Path(name).exists():
        there = ", ".join(shipped_models()) or "none"
        raise UsageError(f"no model {name!r}: neither a file nor one that comes with meshlens: {there}")
    return read_model(name)
