"""A confusion matrix as a picture."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from meshlens.classify.metrics import confusion
from meshlens.errors import MeshlensError, UsageError

__all__ = ["draw_confusion", "plotting"]


def plotting() -> Any:
    """matplotlib, drawing into files only. Raises UsageError if it is not installed."""
    try:
        import_module("matplotlib").use("Agg")
        return import_module("matplotlib.pyplot")
    except ImportError:
        raise UsageError("drawing needs matplotlib: pip install 'meshlens[ml]'") from None


def draw_confusion(path: str, truth: Sequence[str], named: Sequence[str], title: str) -> None:
    """Write a picture: a row for each true class, its shares by the name that was given.

    The format follows the name of the file (.png, .svg, .pdf). Raises UsageError, MeshlensError.
    """
    pyplot = plotting()
    counts = confusion(truth, named)
    classes = sorted(set(truth))
    names = classes + sorted(set(named) - set(classes))
    totals = [sum(counts[true, name] for name in names) for true in classes]
    shares = [
        [counts[true, name] / total for name in names] for true, total in zip(classes, totals, strict=True)
    ]
    inches = max(5.0, 0.24 * len(names))
    figure, axes = pyplot.subplots(figsize=(inches + 2, inches * len(classes) / len(names) + 2))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(
        range(len(classes)),
        [f"{name} ({total})" for name, total in zip(classes, totals, strict=True)],
        fontsize=7,
    )
    axes.set(xlabel="named", ylabel="true class (rows)", title=title)
    try:
        figure.savefig(path, dpi=120, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise MeshlensError(f"{path}: cannot be written: {error}") from None
    finally:
        pyplot.close(figure)
