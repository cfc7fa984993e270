"""What it costs to know a station by its packets: while its window is open, behind it, and a verdict.

A verdict is a model of 24 trees, learnt from the IoT SENTINEL captures if they are there; beside it stands
what scikit-learn takes for one row.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Final

from bench.inputs import DATA, by_kind, payload
from bench.measure import in_turns, run_ns
from bench.programs import empty_program
from bench.report import Figure, Skip
from meshlens.classify.crossval import cross_validate, judge, learn
from meshlens.classify.dataset import Table, read_dataset
from meshlens.classify.ethernet_station.features import FEATURES, STATE, WINDOW
from meshlens.classify.ethernet_station.program import SAMPLER, ethernet_program
from meshlens.classify.forest import Forest, Recipe, fit
from meshlens.classify.kernel.entry import ROW, SAMPLES, Head, unpack_row
from meshlens.classify.kernel.load import load_model
from meshlens.classify.metrics import report
from meshlens.classify.model import Model
from meshlens.classify.splits import grouped_folds
from meshlens.ebpf import Map, Program, Skb, pack_context
from meshlens.errors import NotSupported, PermissionDenied, UsageError
from meshlens.packet.capture import read_capture

_STATIONS: Final = 4_096
_FRAMES: Final = {"TCP": "client/tcp", "DNS": "client/dns-query"}
_RECIPE: Final = Recipe("extra-trees", 24, features=0.3)
_LABEL: Final = "type27"
_TURNS: Final = 3


def figures(quick: bool) -> Iterator[Figure]:
    turns = 5 if quick else 21
    try:
        programs, maps = _load()
    except (PermissionDenied, NotSupported) as error:
        raise Skip(str(error)) from None
    empty = empty_program("tc")
    for name, kind in _FRAMES.items():
        frame = by_kind(payload(), kind)[kind][0]
        station = frame[6:12]
        inside = _in_window(programs["in"], maps[SAMPLES], frame, turns)
        programs["in"].test_run(frame, repeat=2 * WINDOW)
        behind, idle = in_turns([run_ns(programs["in"], frame), run_ns(empty, frame)], turns)
        answer = station + frame[:6] + frame[12:]
        sent_to = in_turns([run_ns(programs["out"], answer)], turns)[0]
        yield Figure(f"{name}, in the window", inside - idle, "ns")
        yield Figure(f"{name}, behind the window", behind - idle, "ns", at_most=60)
        yield Figure(f"{name}, to a station", sent_to - idle, "ns", at_most=60)
    yield from _of_captures(quick)


def _load() -> tuple[dict[str, Program], dict[str, Map]]:
    maps: dict[str, Map] = {}
    programs: dict[str, Program] = {}
    for way in ("in", "out"):
        programs[way] = ethernet_program(way, max_entries=_STATIONS).load(maps)
        maps = programs[way].maps | maps
    SAMPLER.fill(maps)
    return programs, maps


def _in_window(program: Program, samples: Map, frame: bytes, turns: int) -> float:
    """Nanoseconds for each packet of a window, the first one left out, which makes the entry."""

    def once() -> float:
        samples.delete(frame[6:12])
        program.test_run(frame)
        return program.test_run(frame, repeat=WINDOW - 1).duration_ns

    return median(once() for _ in range(10 * turns))


def _of_captures(quick: bool) -> Iterator[Figure]:
    """Accuracy, the verdict's cost, and whether the kernel's rows are the file's."""
    directory = DATA / "iot_sentinel"
    if not directory.is_dir():
        return
    try:
        with_oui = read_dataset(SAMPLER.task, directory).table(_LABEL)
        table = with_oui.without(["oui"])
        forest = fit(_RECIPE, *table.lessons(range(len(table))))
    except UsageError:  # no scikit-learn
        return
    yield from _accuracy(table, with_oui, quick=quick)
    yield from _verdicts(table, forest, quick=quick)
    yield _same_rows(directory, 8 if quick else 1)


def _accuracy(table: Table, with_oui: Table, *, quick: bool) -> Iterator[Figure]:
    """Macro-F1 of cross-validation, the mean of several turns; also of stations that have just begun."""
    turns = 1 if quick else _TURNS
    name = "macro-F1, grouped by run"
    yield Figure(f"{name}, no OUI", _f1(table, _RECIPE, turns), "", at_least=0.965)
    yield Figure(f"{name}, with OUI", _f1(with_oui, _RECIPE, turns), "")
    if quick:
        return
    yield Figure(f"{name}, 300 trees", _f1(table, replace(_RECIPE, trees=300), 1), "")
    for group in ("sizes", "timing", "protocols", "destinations", "ports", "dhcp", "syn"):
        yield Figure(f"{name}, without {group}", _f1(table.without([group]), _RECIPE, 1), "")
    for packets, f1 in _f1_of_beginners(table, turns).items():
        yield Figure(f"{name}, after {packets} packets", f1, "")
    yield Figure("macro-F1, another day than those learnt from", _f1_of_other_days(table), "")


def _f1(table: Table, recipe: Recipe, turns: int) -> float:
    return fmean(cross_validate(table, recipe, seed=seed).report.f1_macro for seed in range(turns))


def _f1_of_beginners(table: Table, turns: int) -> dict[int, float]:
    """By packets: macro-F1 of rows as they were then, of runs that are longer."""
    place = next(n for n, feature in enumerate(table.features) if feature.name == "packets")
    f1 = defaultdict[int, list[float]](list)
    for seed in range(turns):
        folds = grouped_folds(table.labels, table.groups, 5, seed)
        said = defaultdict[int, list[tuple[str, str]]](list)
        for fold in range(5):
            forest = learn(table.only([n for n, own in enumerate(folds) if own != fold]), _RECIPE, seed=seed)
            for n in (n for n, own in enumerate(folds) if own == fold):
                for row in table.early[n]:
                    said[row[place]].append((table.labels[n], judge(forest, [row])[0].name))
        for packets, pairs in said.items():
            f1[packets].append(report(*zip(*pairs, strict=True)).f1_macro)
    return {packets: fmean(values) for packets, values in sorted(f1.items())}


def _f1_of_other_days(table: Table) -> float:
    """Of types that were set up on several days: the runs of the last day, after learning from all others."""
    days = [sample.first_ns // (86_400 * 10**9) for sample in table.samples]
    of_label = defaultdict[str, set[int]](set)
    for label, day in zip(table.labels, days, strict=True):
        of_label[label].add(day)
    tested = [
        n
        for n, (label, day) in enumerate(zip(table.labels, days, strict=True))
        if len(of_label[label]) > 1 and day == max(of_label[label])
    ]
    learnt = table.only(sorted(set(range(len(table))) - set(tested)))
    values = []
    for seed in range(_TURNS):
        judged = judge(learn(learnt, _RECIPE, seed=seed), [table.rows[n] for n in tested])
        truth = [table.labels[n] for n in tested]
        values.append(report(truth, [one.name for one in judged]).f1_macro)
    return fmean(values)


def _verdicts(table: Table, forest: Forest, *, quick: bool) -> Iterator[Figure]:
    names = tuple(feature.name for feature in table.features)
    model = Model(SAMPLER.task.name, _LABEL, forest.classes, names, forest.trees())
    programs, maps = _load()
    frame = by_kind(payload(), "client/tcp")["client/tcp"][0]
    blank = bytes(4 * len(STATE))
    with load_model(model, SAMPLER.task.positions(names), maps) as loaded:
        programs["in"].test_run(frame, repeat=2)  # now this CPU's call is of that station
        first, times, same = loaded.programs[0], list[float](), 0
        chosen = range(0, len(table), 60 if quick else 9)
        for sample, row in ((table.samples[place], table.rows[place]) for place in chosen):
            maps[SAMPLES].update(frame[6:12], Head(first_ns=1).pack(sample.values) + blank)
            times += in_turns([run_ns(first, frame)], 3)
            entry = maps[SAMPLES].lookup(frame[6:12]) or bytes(ROW)
            same += Head.unpack(entry).class_index == model.classify(row).label
    note = f"{forest.nodes} nodes; {same} of {len(chosen)} verdicts are the interpreter's"
    yield Figure("a verdict of 24 trees", fmean(times), "ns", note, at_most=500)
    times = list[float]()
    for _ in range(20):
        begin = time.perf_counter_ns()
        forest.votes(table.rows[:1])
        times.append(time.perf_counter_ns() - begin)
    yield Figure("one row in scikit-learn", median(times), "ns")


def _same_rows(directory: Path, step: int) -> Figure:
    """The share of stations whose row in the kernel is that of the file."""
    same = rows = 0
    for path in sorted(directory.rglob("*.pcap"))[::step]:
        program = ethernet_program("in", max_entries=_STATIONS, clock="skb").load()
        SAMPLER.fill(program.maps)
        with read_capture(path) as reader:
            for each in reader:
                program.test_run(each.data, ctx=pack_context(Skb, tstamp=each.timestamp_ns))
        found = {SAMPLER.name(key): unpack_row(value) for key, value in program.maps[SAMPLES].items()}
        for sample in SAMPLER.task.read(str(path)):
            rows += 1
            same += found[sample.name][: len(FEATURES)] == sample.values
        program.close()
    return Figure(
        "rows of the kernel that are the file's", 100 * same / rows, "%", f"{rows} rows", at_least=100
    )
