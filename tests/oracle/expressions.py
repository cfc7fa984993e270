"""The files of expressions beside this one: one a line, `[section]` above those that belong together."""

from pathlib import Path

__all__ = ["sections"]


def sections(name: str) -> dict[str, list[str]]:
    """The expressions of a file by section."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in Path(__file__).with_name(name).read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            current = found.setdefault(line[1:-1], [])
        elif line and not line.startswith("#"):
            current.append(line)
    return found
