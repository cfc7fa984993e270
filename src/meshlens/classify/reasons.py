"""Why a model says what it says: the features that its trees looked at most on the way to the class."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from meshlens.classify.model import Model, Split
from meshlens.probes.classified import Reason

__all__ = ["reasons"]

_SHOWN: Final = 3


def reasons(model: Model, row: Sequence[int], label: int, most: int = _SHOWN) -> tuple[Reason, ...]:
    """The features that decided for class `label`, those that decided most first.

    A tree whose leaf votes for the class says which features it tested on the way, as loudly as it votes.
    """
    heard = Counter[int]()
    for tree in model.trees:
        node, tested = tree[0], list[int]()
        while isinstance(node, Split):
            tested.append(node.feature)
            node = tree[node.below if row[node.feature] <= node.most else node.above]
        weight = dict(node.weights).get(label, 0)
        if weight:
            for feature in tested:
                heard[feature] += weight
    whole = sum(heard.values())
    return tuple(
        Reason(model.features[feature], row[feature], loud / whole)
        for feature, loud in heard.most_common(most)
    )
