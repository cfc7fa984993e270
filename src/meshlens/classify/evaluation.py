"""A model against labelled rows that it never saw. In plain Python: nothing has to be installed for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshlens.classify.dataset import Table
from meshlens.classify.metrics import UNKNOWN, Report, auroc, report
from meshlens.classify.model import Model, Verdict

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Verdicts of a model for rows whose labels are known.

    Rows of labels that the model does not have are unknown samples: they count in none of the figures of
    `known`, but in `unknown_auroc` (how well votes tell them from the others; None without any, or without
    others) and `unknown_named` (how many were given a name).
    """

    truth: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    named: tuple[str, ...]
    known: Report
    unknown_samples: int
    unknown_auroc: float | None
    unknown_named: int

    def figures(self, skipped: int) -> dict[str, int | float | None]:
        """The figures by name, rounded: what `meshlens classify evaluate --json` prints."""
        area = self.unknown_auroc
        return {
            "samples": len(self.truth),
            "classes": len(self.known.classes),
            "precision_macro": round(self.known.precision_macro, 4),
            "recall_macro": round(self.known.recall_macro, 4),
            "f1_macro": round(self.known.f1_macro, 4),
            "f1_weighted": round(self.known.f1_weighted, 4),
            "accuracy": round(self.known.accuracy, 4),
            "unknown_samples": self.unknown_samples,
            "unknown_auroc": None if area is None else round(area, 4),
            "unknown_named": self.unknown_named,
            "skipped": skipped,
        }


def evaluate(model: Model, table: Table, rows: Sequence[Sequence[int]]) -> Evaluation:
    """Ask `model` about the samples of a table; `rows` are theirs, with the model's features."""
    verdicts = tuple(model.classify(row) for row in rows)
    named = tuple(UNKNOWN if one.label is None else model.classes[one.label] for one in verdicts)
    has = set(model.classes)
    known = [place for place, label in enumerate(table.labels) if label in has]
    strange = [place for place, label in enumerate(table.labels) if label not in has]
    return Evaluation(
        table.labels,
        verdicts,
        named,
        report([table.labels[place] for place in known], [named[place] for place in known]),
        len(strange),
        auroc([verdicts[place].votes for place in known], [verdicts[place].votes for place in strange]),
        sum(named[place] != UNKNOWN for place in strange),
    )
