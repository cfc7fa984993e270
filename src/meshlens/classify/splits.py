"""How rows are divided into those to learn from and those to be tested with, so that nothing leaks.

A fold is a number for each row; a row is tested by the model that saw no row of its fold. All is seeded.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

__all__ = ["grouped_folds", "label_folds", "random_folds"]


def grouped_folds(labels: Sequence[str], groups: Sequence[str], folds: int = 5, seed: int = 0) -> list[int]:
    """The fold of each row: rows of a group share one, and the groups of a label are spread over many.

    So a label with two groups is always learnt from one and tested with the other. Groups are dealt out
    largest first, each to the fold that has least of its labels, then to that which has fewest rows.
    """
    contents: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        contents[group][label] += 1
    order = sorted(contents)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -contents[group].total())
    total = Counter(labels)
    had: list[Counter[str]] = [Counter() for _ in range(folds)]
    fold_of: dict[str, int] = {}
    for group in order:
        counts = contents[group]

        def load(fold: int, counts: Counter[str] = counts) -> tuple[float, int]:
            return sum(had[fold][label] / total[label] for label in counts), had[fold].total()

        fold_of[group] = min(range(folds), key=load)
        had[fold_of[group]].update(counts)
    return [fold_of[group] for group in groups]


def label_folds(labels: Sequence[str], folds: int = 5, seed: int = 0) -> list[int]:
    """The fold of each row when whole labels are kept back: what a model never saw is unknown to it."""
    names = sorted(set(labels))
    random.Random(seed).shuffle(names)
    fold_of = {name: place % folds for place, name in enumerate(names)}
    return [fold_of[label] for label in labels]


def random_folds(labels: Sequence[str], folds: int = 5, seed: int = 0) -> list[int]:
    """The fold of each row without regard to groups: leaky, for comparison only."""
    return grouped_folds(labels, [str(place) for place in range(len(labels))], folds, seed)
