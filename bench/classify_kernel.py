"""A trained model in the kernel: nanoseconds a decision, and whether it says what scikit-learn says.

For each task, forests as large as training makes them, of all rows of its data set. A decision is of a row
that is chosen by chance each time, so that no branch is foretold; what is measured is the time above a
program that does all but decide. Beside it scikit-learn, one row at a time and all at once, and our model in
Python. Every row of the data set is then decided in the kernel, in Python and by scikit-learn.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Final

from bench.inputs import data_path
from bench.report import Figure, Skip
from bench.rows import chosen, rows_in_kernel
from meshlens.classify.dataset import Table, read_dataset
from meshlens.classify.forest import Forest, Recipe, fit
from meshlens.classify.model import Model
from meshlens.classify.tasks import task

#: The task, its data set, and the column with the truth.
SETS: Final = (
    ("wifi-station", "wifi_taxonomy", "label_tax"),
    ("ethernet-station", "iot_sentinel", "type27"),
    ("flow", "ndpi", "proto"),
)
_TREES: Final = 24
_RECIPES: Final = (Recipe("random-forest", _TREES), Recipe("extra-trees", _TREES))
#: Rows that stand in the map while the time is taken: more would measure the memory.
_IN_MAP: Final = 1024
_AT_MOST_NS: Final = 500


def figures(quick: bool) -> Iterator[Figure]:
    for import_name in ("numpy", "sklearn"):
        _needed(import_name)
    for name, folder, label in SETS:
        table = read_dataset(task(name), data_path(folder)).table(label)
        for recipe in _RECIPES:
            yield from _of(name, table, fit(recipe, table.rows, table.labels), recipe, quick=quick)


def _of(name: str, table: Table, forest: Forest, recipe: Recipe, *, quick: bool) -> Iterator[Figure]:
    features = tuple(feature.name for feature in table.features)
    model = Model(name, "label", forest.classes, features, forest.trees())
    title, rows = f"{name}, {recipe}", chosen(table.rows, _IN_MAP)
    turns = 3 if quick else 15
    with rows_in_kernel(rows, None) as kernel:
        nothing_ns = kernel.ns(turns)
    began = time.monotonic()
    with rows_in_kernel(rows, model) as kernel:
        load_s = time.monotonic() - began
        assert kernel.loaded
        infos = [program.info() for program in kernel.loaded.programs]
        size = f"{forest.nodes} nodes, {len(forest.classes)} classes, {len(features)} features"
        yield Figure(
            f"{title}: a decision", kernel.ns(turns) - nothing_ns, "ns", note=size, at_most=_AT_MOST_NS
        )
    yield Figure(f"{title}: in Python", _ns_each(model.classify, rows), "ns")
    arrays = _arrays(rows)
    predict = forest.estimator.predict
    yield Figure(f"{title}: scikit-learn, a row at a time", _ns_each(predict, arrays[:, None][:50]), "ns")
    yield Figure(
        f"{title}: scikit-learn, {len(rows)} rows at once", _ns_each(predict, [arrays]) / len(rows), "ns"
    )
    verified = sum(info.verified_insns for info in infos)
    note = f"verifier {verified:,}, {sum(info.jited_bytes for info in infos) / 1024:.0f} KiB, {load_s:.1f} s"
    instructions = sum(info.xlated_bytes // 8 for info in infos)
    yield Figure(f"{title}: instructions, {len(infos)} programs", instructions, "", note=note)
    same = _same(table.rows, model, forest)
    yield Figure(
        f"{title}: rows with one verdict", 100 * same / len(table), "%", f"of {len(table)}", at_least=100
    )


def _same(rows: Sequence[tuple[int, ...]], model: Model, forest: Forest) -> int:
    """Rows with the same class and the same votes in the kernel, in Python and by scikit-learn."""
    votes = forest.votes(rows)
    predicted = [str(each) for each in forest.estimator.predict(_arrays(rows))]
    same = 0
    with rows_in_kernel(rows, model) as kernel:
        for number, row in enumerate(rows):
            head, verdict = kernel.head(number), model.classify(row)
            assert head.class_index is not None
            classes = {model.classes[head.class_index], model.classes[verdict.label or 0], predicted[number]}
            sums = {head.votes, verdict.votes, int(votes[number].max())}
            same += len(classes) == 1 and len(sums) == 1
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
