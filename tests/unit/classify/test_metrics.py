"""Against scikit-learn, which defines these figures."""

import random

import pytest

from meshlens.classify.metrics import UNKNOWN, auroc, confusion, report

metrics = pytest.importorskip("sklearn.metrics")

CHANCE = random.Random(3)
TRUTH = [CHANCE.choice("aaabbcd") for _ in range(300)]
NAMED = [name if CHANCE.random() < 0.7 else CHANCE.choice(["a", "b", "c", UNKNOWN]) for name in TRUTH]


def test_figures_are_those_of_scikit_learn() -> None:
    ours = report(TRUTH, NAMED)
    classes = sorted(set(TRUTH))
    macro = metrics.precision_recall_fscore_support(
        TRUTH, NAMED, labels=classes, average="macro", zero_division=0
    )
    weighted = metrics.f1_score(TRUTH, NAMED, labels=classes, average="weighted", zero_division=0)
    assert (ours.precision_macro, ours.recall_macro, ours.f1_macro) == pytest.approx(macro[:3])
    assert ours.f1_weighted == pytest.approx(weighted)
    assert ours.accuracy == pytest.approx(metrics.accuracy_score(TRUTH, NAMED))
    each = metrics.precision_recall_fscore_support(TRUTH, NAMED, labels=classes, zero_division=0)
    assert [tuple(ours.classes[name]) for name in classes] == [
        pytest.approx(column) for column in zip(*each, strict=True)
    ]


def test_confusions_are_those_of_scikit_learn() -> None:
    names = sorted({*TRUTH, *NAMED})
    ours = confusion(TRUTH, NAMED)
    theirs = metrics.confusion_matrix(TRUTH, NAMED, labels=names)
    assert [[ours[true, name] for name in names] for true in names] == theirs.tolist()


def test_auroc_is_that_of_scikit_learn_ties_included() -> None:
    high = [CHANCE.randrange(4, 12) for _ in range(90)]
    low = [CHANCE.randrange(0, 8) for _ in range(70)]
    theirs = metrics.roc_auc_score([1] * len(high) + [0] * len(low), high + low)
    assert auroc(high, low) == pytest.approx(theirs)
    assert auroc(low, high) == pytest.approx(1 - theirs)


def test_auroc_of_nothing_is_none() -> None:
    assert auroc([1], []) is None
    assert auroc([], [1]) is None


def test_nothing_has_figures_of_zero() -> None:
    assert report([], [])[:6] == (0, 0, 0, 0, 0, 0)
