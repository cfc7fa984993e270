"""Numbers and names as people read them in tables, and pictures made of characters."""

from collections.abc import Sequence

__all__ = ["ago", "bars", "elide", "endpoint", "human", "printable", "shorten"]

_BARS = " ▁▂▃▄▅▆▇█"


def human(value: float) -> str:
    """Three significant digits and an SI prefix, at most 5 characters: 7, 999, 1.00k, 12.3M, 456G."""
    if value < 1000 and value == int(value):
        return str(int(value))
    prefix = ""
    for larger in "kMGTPE":
        if value < 999.5:
            break
        value, prefix = value / 1000, larger
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}{prefix}"


def ago(seconds: float) -> str:
    """A length of time in its largest unit, at most 4 characters: 0s, 59s, 3m, 47h, 12d."""
    for unit, size, below in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 48 * 3600)):
        if seconds < below:
            return f"{max(0, int(seconds // size))}{unit}"
    return f"{int(seconds // 86_400)}d"


def bars(values: Sequence[float]) -> str:
    """A bar for each value, in eighths of the highest; what is not 0 is seen."""
    most = max(values, default=0) or 1
    return "".join(_BARS[max(value > 0, round(8 * value / most))] for value in values)


def printable(text: str) -> str:
    """Keep what would steer the terminal from doing so: names come from anybody who sends frames."""
    return "".join(char if char.isprintable() else "�" for char in text)


def elide(text: str, cells: int) -> str:
    """Cut the middle: ids differ most at their end, and begin with what they have in common."""
    from rich.cells import cell_len, set_cell_size

    text = printable(text)
    if cell_len(text) <= cells:
        return text
    head = set_cell_size(text, (cells - 1) // 3).rstrip()
    tail = text
    while tail and cell_len(tail) > cells - 1 - cell_len(head):
        tail = tail[1:]
    return f"{head}…{tail}"


def shorten(text: str, cells: int) -> str:
    """Cut the end: words are known by how they begin."""
    from rich.cells import cell_len, set_cell_size

    text = printable(text)
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"


def endpoint(address: str, port: int) -> str:
    """An end of a flow as it is written in URLs; an address alone where the protocol has no ports."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
