"""Models and their tests as text: figures, classes, confusions."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from meshlens.classify.metrics import Report, confusion
from meshlens.classify.training import Training

__all__ = [
    "class_lines",
    "confusion_lines",
    "evaluation_lines",
    "figures_json",
    "training_json",
    "training_lines",
]

_CLASS = "  {:<36} {:>9} {:>7} {:>6} {:>5}"


def training_lines(training: Training, split: str) -> Iterator[str]:
    """What training came to, and how that was measured."""
    about = training.model.about
    yield f"{about['rows']} rows, {len(training.model.classes)} classes, {about['groups']} groups"
    for one in training.tried:
        mark = "*" if one.recipe == training.recipe else " "
        yield (
            f"{mark} F1 macro {one.f1_macro:.3f}, weighted {one.f1_weighted:.3f}  {one.nodes:>6} nodes  "
            f"{one.recipe}"
        )
    if not (tested := training.tested):
        yield "not tested: no two labels come in two groups or more; figures need captures of more units"
        return
    yield f"tested by {split}:"
    yield from _figures(tested.out_of_fold.report)
    yield f"  macro-F1 {tested.leaky.f1_macro:.3f} with a random split (leaky, for comparison)"
    if (area := tested.seen.auroc) is not None:
        yield f"  known against unknown classes: AUROC {area:.3f}"
    yield from class_lines(tested.out_of_fold.report)
    yield from confusion_lines(tested.out_of_fold.truth, tested.out_of_fold.named)


def evaluation_lines(figures: Mapping[str, Any], classes: Report) -> Iterator[str]:
    """What an evaluation came to."""
    yield f"{figures['samples']} samples, {figures['skipped']} skipped"
    yield from _figures(classes)
    if figures["unknown_samples"]:
        area = figures["unknown_auroc"]
        yield (
            f"  {figures['unknown_samples']} of unknown classes, {figures['unknown_named']} of them named"
            + ("" if area is None else f"; known against unknown: AUROC {area:.3f}")
        )
    yield from class_lines(classes)


def _figures(figures: Report) -> Iterator[str]:
    yield f"  {figures.rows} rows of {len(figures.classes)} classes"
    yield (
        f"  macro: precision {figures.precision_macro:.3f}, recall {figures.recall_macro:.3f}, "
        f"F1 {figures.f1_macro:.3f}; weighted F1 {figures.f1_weighted:.3f}; accuracy {figures.accuracy:.3f}"
    )


def class_lines(figures: Report) -> Iterator[str]:
    """A line for each class."""
    if figures.classes:
        yield _CLASS.format("class", "precision", "recall", "F1", "rows")
    for name, score in figures.classes.items():
        shares = (f"{share:.3f}" for share in score[:3])
        yield _CLASS.format(name, *shares, score.rows)


def confusion_lines(truth: Iterable[str], named: Iterable[str], most: int = 10) -> Iterator[str]:
    """The errors that were made most often."""
    errors = {
        pair: rows for pair, rows in confusion(tuple(truth), tuple(named)).items() if pair[0] != pair[1]
    }
    if errors:
        yield "most often confused:"
    for (true, name), rows in sorted(errors.items(), key=lambda error: (-error[1], error[0]))[:most]:
        yield f"  {rows:>5}  {true} taken for {name}"


def figures_json(figures: Mapping[str, Any]) -> str:
    """The figures of an evaluation as one JSON object."""
    return json.dumps(figures)


def training_json(training: Training) -> str:
    """What training came to as one JSON object: what the model's file says of itself, what was tried."""
    tried = [
        {
            "recipe": str(one.recipe),
            "f1_macro": round(one.f1_macro, 4),
            "f1_weighted": round(one.f1_weighted, 4),
            "nodes": one.nodes,
        }
        for one in training.tried
    ]
    return json.dumps({**training.model.about, "tried": tried})
