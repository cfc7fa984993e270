"""A trained model in the kernel: nanoseconds a decision, and whether it says what scikit-learn says.

For each task every recipe that training chooses from, learnt from all rows of its data set. A decision is of
a row that is chosen by chance each time, so that few branches are foretold; what is measured is the time
above a program that does all but decide. Then every row of the data set is decided in the kernel, in Python
and by scikit-learn. Beside the slowest model: the same in Python, and scikit-learn, a row at a time and all
at once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from bench.inputs import data_path
from bench.report import Figure, Skip
from bench.rows import chosen, rows_in_kernel
from meshlens.classify.dataset import Table, read_dataset
from meshlens.classify.familiarity import Watch, watch
from meshlens.classify.forest import Forest, Recipe, fit
from meshlens.classify.model import Model
from meshlens.classify.selection import RECIPES
from meshlens.classify.tasks import task

#: The task, its data set, and the column with the truth.
SETS: Final = (
    ("wifi-station", "wifi_taxonomy", "label_tax"),
    ("ethernet-station", "iot_sentinel", "type27"),
    ("flow", "ndpi", "proto"),
)
#: Rows that stand in the map while the time is taken: more would measure the memory.
_IN_MAP: Final = 1024
_AT_MOST_NS: Final = 500


@dataclass(frozen=True)
class Learnt:
    """One recipe, learnt."""

    recipe: Recipe
    forest: Forest
    watched: Watch
    model: Model

    @property
    def size(self) -> str:
        nodes, classes, features = self.forest.nodes, len(self.model.classes), len(self.model.features)
        return f"{nodes} nodes, {classes} classes, {features} features"


def figures(quick: bool) -> Iterator[Figure]:
    for module in ("numpy", "sklearn"):
        _needed(module)
    for name, folder, label in SETS:
        table = read_dataset(task(name), data_path(folder)).table(label)
        yield from _of_task(name, table, turns=5 if quick else 25)


def _of_task(name: str, table: Table, turns: int) -> Iterator[Figure]:
    rows, slowest, slowest_ns, same = chosen(table.rows, _IN_MAP), None, 0.0, 0
    with rows_in_kernel(rows, None) as kernel:
        nothing_ns = kernel.ns(turns)
    for recipe in RECIPES:
        learnt = _learn(name, table, recipe)
        began = time.monotonic()
        with rows_in_kernel(rows, learnt.model) as kernel:
            load_s = time.monotonic() - began
            ns = kernel.ns(turns) - nothing_ns
            yield Figure(f"{name}, {recipe}: a decision", ns, "ns", note=learnt.size, at_most=_AT_MOST_NS)
            assert kernel.loaded
            infos = [program.info() for program in kernel.loaded.programs]
        verified = sum(info.verified_insns for info in infos)
        kib = sum(info.jited_bytes for info in infos) / 1024
        note = f"{len(infos)} program, verifier {verified:,}, {kib:.0f} KiB, {load_s:.1f} s with the map"
        yield Figure("  its instructions", sum(info.xlated_bytes // 8 for info in infos), "", note=note)
        same += _same(table.rows, learnt)
        if ns > slowest_ns:
            slowest, slowest_ns = learnt, ns
    assert slowest
    arrays, predict = _arrays(rows), slowest.forest.estimator.predict
    yield Figure(f"{name}, the slowest of these", slowest_ns, "ns", note=str(slowest.recipe))
    yield Figure("  in Python", _ns_each(slowest.model.classify, rows), "ns")
    yield Figure("  scikit-learn, a row at a time", _ns_each(predict, arrays[:, None][:50]), "ns")
    yield Figure("  scikit-learn, all rows at once", _ns_each(predict, [arrays]) / len(rows), "ns")
    decided = len(RECIPES) * len(table)
    yield Figure(
        f"{name}: rows with one verdict", 100 * same / decided, "%", f"{same} of {decided}", at_least=100
    )


def _learn(name: str, table: Table, recipe: Recipe) -> Learnt:
    """As training does: trees of all rows, and watched features."""
    forest = fit(recipe, table.rows, table.labels)
    watched = watch(forest, table, "importance")
    assert watched
    model = Model(
        name,
        "label",
        forest.classes,
        tuple(feature.name for feature in table.features),
        forest.trees(),
        gains=tuple(zip(watched.features, watched.gains, strict=True)),
        bounds=watched.bounds,
    )
    return Learnt(recipe, forest, watched, model)


def _same(rows: Sequence[tuple[int, ...]], learnt: Learnt) -> int:
    """Rows with the same class and the same votes in the kernel, in Python and by scikit-learn."""
    model, arrays = learnt.model, _arrays(rows)
    sums, labels = learnt.forest.votes(rows), learnt.forest.estimator.predict(arrays)
    places = [model.classes.index(str(label)) for label in labels]
    votes = sums.max(axis=1) + learnt.watched.gained(arrays, places)
    same = 0
    with rows_in_kernel(rows, model) as kernel:
        for number, row in enumerate(rows):
            head, verdict = kernel.head(number), model.classify(row)
            ours = (head.class_index, head.votes), (verdict.label, verdict.votes)
            same += set(ours) == {(places[number], int(votes[number]))}
    return same


def _ns_each(action: Callable[[Any], object], values: Sequence[Any]) -> float:
    """The least of three turns."""
    least = float("inf")
    for _ in range(3):
        began = time.perf_counter_ns()
        for each in values:
            action(each)
        least = min(least, (time.perf_counter_ns() - began) / len(values))
    return least


def _arrays(rows: Sequence[tuple[int, ...]]) -> Any:
    return import_module("numpy").asarray(rows, dtype="float32")


def _needed(module: str) -> None:
    try:
        import_module(module)
    except ImportError:
        raise Skip(f"{module} is not installed: pip install 'meshlens[ml]'") from None
