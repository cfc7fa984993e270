"""A trained model: trees whose leaves add whole-numbered weights to classes, and what is known about it.

The class with the largest sum wins, the first of equals. Then features are watched: each whose value is
within what that class had in training adds to its votes, so that a row that is like none of them gets few.
All is integers: the kernel, this module and the trainer's scikit-learn come to the same class for every row.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

from meshlens.errors import UsageError

__all__ = ["FORMAT", "ONE", "Leaf", "Model", "Split", "Tree", "Verdict", "read_model"]

#: The version of the file's layout.
FORMAT: Final = 1
#: The weights of a leaf add up to this: probabilities in steps of 2**-16, which floats add without rounding.
ONE: Final = 1 << 16


class Split(NamedTuple):
    """Go to node `below` if `feature` (its position in the row) is at most `most`, else to `above`."""

    feature: int
    most: int
    below: int
    above: int


class Leaf(NamedTuple):
    """(class, weight) pairs, ascending by class; the weights add up to ONE."""

    weights: tuple[tuple[int, int], ...]


#: Nodes by number; 0 is the root.
Tree = tuple[Split | Leaf, ...]


class Verdict(NamedTuple):
    """A class by its position (None: unknown), its calibrated confidence from 0 to 1, and its votes.

    These are its sum and what the watched features add.
    """

    label: int | None
    confidence: float
    votes: int


@dataclass(frozen=True)
class Model:
    """What is in a model's file.

    `features` are names of the task's features: rows for `votes` and `classify` have these, in this order.
    A verdict whose votes are below `least_votes` is unknown. `calibration`: ascending (votes, confidence)
    points, between which confidence is linear. `about`: metrics, split, digest of the training data, licence.
    `gains`: (feature, votes) of the features that are watched; `bounds`: for each class, the (lowest,
    highest) value of each of these that gains the votes.
    """

    task: str
    label: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    trees: tuple[Tree, ...]
    least_votes: int = 0
    calibration: tuple[tuple[int, float], ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    gains: tuple[tuple[int, int], ...] = ()
    bounds: tuple[tuple[tuple[int, int], ...], ...] = ()

    def votes(self, row: Sequence[int]) -> list[int]:
        """The sum of every class for `row`."""
        sums = [0] * len(self.classes)
        for tree in self.trees:
            node = tree[0]
            while isinstance(node, Split):
                node = tree[node.below if row[node.feature] <= node.most else node.above]
            for label, weight in node.weights:
                sums[label] += weight
        return sums

    def classify(self, row: Sequence[int]) -> Verdict:
        """The verdict for `row`."""
        sums = self.votes(row)
        most = max(sums)
        label = sums.index(most)
        votes = most + self.gained(row, label)
        return Verdict(label if votes >= self.least_votes else None, self.confidence(votes), votes)

    def gained(self, row: Sequence[int], label: int) -> int:
        """What the watched features add to a class's votes for `row`."""
        bounds = self.bounds[label] if self.gains else ()
        return sum(
            votes
            for (feature, votes), (low, high) in zip(self.gains, bounds, strict=True)
            if low <= row[feature] <= high
        )

    def confidence(self, votes: int) -> float:
        """The calibrated confidence of a class that has `votes`."""
        points = self.calibration or ((0, 0.0), (self.most_votes, 1.0))
        if votes <= points[0][0]:
            return points[0][1]
        for (low, low_confidence), (high, high_confidence) in pairwise(points):
            if votes <= high:
                share = (votes - low) / (high - low)
                return low_confidence + share * (high_confidence - low_confidence)
        return points[-1][1]

    @property
    def most_votes(self) -> int:
        """All that a class can get."""
        return len(self.trees) * ONE + sum(votes for _, votes in self.gains)

    def to_json(self) -> str:
        """As the text of a model's file."""
        plain = asdict(self) | {
            "format": FORMAT,
            "trees": [[_plain(node) for node in tree] for tree in self.trees],
        }
        return json.dumps(plain, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> "Model":
        """From the text of a model's file; raises UsageError that names `source` and what is wrong."""
        try:
            plain = json.loads(text)
            found = plain.pop("format")
            if found != FORMAT:
                raise UsageError(f"{source}: a model of format {found}; this meshlens reads format {FORMAT}")
            model = cls(
                plain["task"],
                plain["label"],
                tuple(plain["classes"]),
                tuple(plain["features"]),
                tuple(tuple(_node(node) for node in tree) for tree in plain["trees"]),
                plain["least_votes"],
                tuple((votes, confidence) for votes, confidence in plain["calibration"]),
                plain["about"],
                tuple((feature, votes) for feature, votes in plain.get("gains", ())),
                tuple(tuple((low, high) for low, high in of) for of in plain.get("bounds", ())),
            )
            _check(model)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{source}: not a model of meshlens ({error})") from None
        return model


def read_model(path: str | os.PathLike[str]) -> Model:
    """The model in a file. Raises UsageError that names the file and what is wrong."""
    try:
        with open(path, encoding="utf-8") as file:
            return Model.from_json(file.read(), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a model of meshlens (no text)") from None


def _check(model: Model) -> None:
    """Raise ValueError where a tree is none, or names what is not there: a row would go astray in it."""
    classes, features = range(len(model.classes)), range(len(model.features))
    for number, tree in enumerate(model.trees):
        for place, node in enumerate(tree):
            if isinstance(node, Split):
                below = range(place + 1, len(tree))
                right = node.feature in features and node.below in below and node.above in below
            else:
                right = all(label in classes for label, _ in node.weights)
            if not right:
                raise ValueError(f"tree {number}, node {place} names what is not there: {_plain(node)}")
        if not tree:
            raise ValueError(f"tree {number} is empty")
    if not classes or (
        model.gains and [len(each) for each in model.bounds] != [len(model.gains)] * len(classes)
    ):
        raise ValueError("its classes are none, or have not as many bounds as there are gains")


def _plain(node: Split | Leaf) -> list[Any]:
    """A split as its four numbers, a leaf as the list of its pairs."""
    return list(node) if isinstance(node, Split) else [list(pair) for pair in node.weights]


def _node(plain: list[Any]) -> Split | Leaf:
    if plain and isinstance(plain[0], int):
        return Split(*plain)
    return Leaf(tuple((label, weight) for label, weight in plain))
