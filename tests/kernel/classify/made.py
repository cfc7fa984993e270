"""Made-up models: any trees, also such as no trainer makes."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from meshlens.classify.features import MAX_VALUE
from meshlens.classify.model import ONE, Leaf, Model, Split, Tree

Value = Callable[[random.Random], int]


def small(rng: random.Random) -> int:
    """A value of which there are few, so that rows meet thresholds."""
    return rng.randrange(6)


def any_size(rng: random.Random) -> int:
    """A value of any size, the ends of the range among them."""
    return rng.choice((0, 1, MAX_VALUE - 1, MAX_VALUE, rng.randrange(MAX_VALUE), 1 << rng.randrange(24)))


def made_tree(rng: random.Random, features: int, classes: int, splits: int, value: Value) -> Tree:
    """A tree of random shape; some of its tests decide nothing."""
    nodes: list[Split | Leaf | None] = [None]
    open_nodes = [0]
    for _ in range(splits):
        here = open_nodes.pop(rng.randrange(len(open_nodes)))
        nodes[here] = Split(rng.randrange(features), value(rng), len(nodes), len(nodes) + 1)
        open_nodes += (len(nodes), len(nodes) + 1)
        nodes += (None, None)
    return tuple(node or made_leaf(rng, classes) for node in nodes)


def made_leaf(rng: random.Random, classes: int) -> Leaf:
    """Few weights, so that sums often are equal."""
    chosen = sorted(rng.sample(range(classes), min(classes, rng.choice((1, 1, 1, 2, 4)))))
    weights = [ONE // len(chosen)] * len(chosen)
    return Leaf(tuple(zip(chosen, weights, strict=True)))


def made_model(
    seed: int, trees: int, splits: int, features: int, classes: int, value: Value = small, least: int = 0
) -> Model:
    """A model whose trees have `splits` tests each."""
    rng = random.Random(seed)
    return Model(
        "made",
        "label",
        tuple(f"class {number}" for number in range(classes)),
        tuple(f"feature {number}" for number in range(features)),
        tuple(made_tree(rng, features, classes, splits, value) for _ in range(trees)),
        least,
    )


def watching(model: Model, seed: int, most: int, value: Value = small) -> Model:
    """The model with up to `most` features watched."""
    rng = random.Random(seed)
    chosen = rng.sample(range(len(model.features)), min(most, len(model.features)))
    pairs = [[sorted((value(rng), value(rng))) for _ in chosen] for _ in model.classes]
    bounds = tuple(tuple((low, high) for low, high in of_class) for of_class in pairs)
    gains = tuple((feature, rng.choice((1, ONE, 1 << 24))) for feature in chosen)
    return replace(model, gains=gains, bounds=bounds)


def made_rows(seed: int, rows: int, features: int, value: Value = small) -> Sequence[tuple[int, ...]]:
    rng = random.Random(seed)
    return [tuple(value(rng) for _ in range(features)) for _ in range(rows)]
