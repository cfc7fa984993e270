import random
from collections import defaultdict

import pytest

from meshlens.classify.splits import grouped_folds, label_folds, random_folds

CHANCE = random.Random(5)
GROUPS = [f"unit {CHANCE.randrange(60)}" for _ in range(600)]
LABEL_OF = {group: f"kind {CHANCE.randrange(12)}" for group in sorted(set(GROUPS))}
LABELS = [LABEL_OF[group] for group in GROUPS]


@pytest.mark.parametrize("seed", range(5))
def test_a_group_never_stands_in_two_folds(seed: int) -> None:
    folds = defaultdict(set)
    for group, fold in zip(GROUPS, grouped_folds(LABELS, GROUPS, 5, seed), strict=True):
        folds[group].add(fold)
    assert {len(of) for of in folds.values()} == {1}


@pytest.mark.parametrize("seed", range(5))
def test_a_label_of_two_groups_or_more_can_always_be_learnt_from_another_fold(seed: int) -> None:
    folds, groups = defaultdict(set), defaultdict(set)
    for label, group, fold in zip(LABELS, GROUPS, grouped_folds(LABELS, GROUPS, 5, seed), strict=True):
        folds[label].add(fold)
        groups[label].add(group)
    assert all(len(folds[label]) == min(5, len(groups[label])) for label in folds)


def test_folds_are_of_similar_size_and_the_same_with_the_same_seed() -> None:
    folds = grouped_folds(LABELS, GROUPS, 5, 1)
    sizes = [folds.count(fold) for fold in range(5)]
    assert max(sizes) < 1.3 * min(sizes)
    assert folds == grouped_folds(LABELS, GROUPS, 5, 1) != grouped_folds(LABELS, GROUPS, 5, 2)


def test_a_label_that_is_kept_back_is_kept_back_whole() -> None:
    folds = defaultdict(set)
    for label, fold in zip(LABELS, label_folds(LABELS), strict=True):
        folds[label].add(fold)
    assert {len(of) for of in folds.values()} == {1}
    assert len(set().union(*folds.values())) == 5


def test_random_folds_part_groups_which_is_what_makes_them_leaky() -> None:
    folds = defaultdict(set)
    for group, fold in zip(GROUPS, random_folds(LABELS), strict=True):
        folds[group].add(fold)
    assert max(len(of) for of in folds.values()) > 1
