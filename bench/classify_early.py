"""How soon a flow is known: macro-F1 of a model that learnt whole rows, asked after a flow's first packets.

Protocols in 5 files and 10 flows or more; files are never on both sides of a split. MESHLENS_TEST_DATA names
the folder of the captures.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from statistics import fmean

from bench.inputs import DATA
from bench.report import Figure, Skip
from meshlens.classify.crossval import judge
from meshlens.classify.dataset import Table, read_dataset
from meshlens.classify.flow import TASK
from meshlens.classify.flow.features import PACKETS
from meshlens.classify.flow.sample import read
from meshlens.classify.forest import Recipe, fit
from meshlens.classify.metrics import report
from meshlens.classify.splits import grouped_folds
from meshlens.errors import MeshlensError

_RECIPE = Recipe("random-forest", 24, features=0.3, balanced=True)
_FILES, _FLOWS, _FOLDS = 5, 10, 5
_ASKED = (1, 2, 3, 4, 6, PACKETS)
_FIRST_SEED = 100


def figures(quick: bool) -> Iterator[Figure]:
    try:
        tables = {packets: _table(packets) for packets in _ASKED}
    except MeshlensError as error:
        raise Skip(str(error)) from None
    for without in ((), ("payload",)):
        seen = {packets: table.without(without) for packets, table in tables.items()}
        turns = [_turn(seen, seed) for seed in range(_FIRST_SEED, _FIRST_SEED + (1 if quick else 3))]
        for packets in _ASKED:
            words = f"after packet {packets}" + "".join(f", no {group}" for group in without)
            yield Figure(f"macro-F1 {words}", 100 * fmean(turn[packets] for turn in turns), "%")


def _turn(tables: dict[int, Table], seed: int) -> dict[int, float]:
    """Macro-F1 by how many packets of a flow the model is shown."""
    whole = tables[PACKETS]
    fold_of = grouped_folds(whole.labels, whole.groups, _FOLDS, seed)
    named = {packets: [""] * len(whole) for packets in tables}
    for fold in range(_FOLDS):
        learn = [place for place, own in enumerate(fold_of) if own != fold]
        test = [place for place, own in enumerate(fold_of) if own == fold]
        chosen = whole.only(learn)
        forest = fit(_RECIPE, chosen.rows, chosen.labels, seed=seed)
        for packets, table in tables.items():
            for place, said in zip(test, judge(forest, table.only(test).rows), strict=True):
                named[packets][place] = said.name
    return {packets: report(whole.labels, names).f1_macro for packets, names in named.items()}


def _table(packets: int) -> Table:
    """The flows, by so many of their packets."""
    shown = replace(TASK, read=partial(read, packets=packets))
    table = read_dataset(shown, DATA / "ndpi").table("proto").repeated(_FILES)
    flows = Counter(table.labels)
    return table.only([place for place, label in enumerate(table.labels) if flows[label] >= _FLOWS])
