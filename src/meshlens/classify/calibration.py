"""What votes mean: a confidence that is right as often as it says, and from how few on a class is unknown.

Both are learnt from rows that the voting models had not seen.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from meshlens.classify.crossval import Judged, OutOfFold

__all__ = ["LOSS", "calibrate", "least_votes"]

#: What share of the rows that would be named rightly may become unknown. More would name fewer unknowns, but
#: the rows of units that nobody has seen yet are stranger than those that this is learnt from.
LOSS: Final = 0.02


def calibrate(judged: Sequence[Judged], right: Sequence[bool]) -> tuple[tuple[int, float], ...]:
    """Ascending (votes, confidence) points: isotonic regression of being right on the votes.

    Pool-adjacent-violators (Ayer et al. 1955): neighbours whose shares of right verdicts descend are merged.
    Each block counts one verdict more of either kind (Laplace), so that no confidence is 0 or 1.
    """
    pairs = sorted((one.votes, was) for one, was in zip(judged, right, strict=True))
    blocks: list[tuple[int, int, int, int]] = []  # rows, right ones, fewest votes, most votes
    for votes, same in groupby(pairs, key=lambda pair: pair[0]):
        outcomes = [was for _, was in same]
        block = len(outcomes), sum(outcomes), votes, votes
        while blocks and blocks[-1][1] * block[0] >= block[1] * blocks[-1][0]:
            before = blocks.pop()
            block = before[0] + block[0], before[1] + block[1], before[2], block[3]
        blocks.append(block)
    points: list[tuple[int, float]] = []
    for rows, good, fewest, most in blocks:
        share = (good + 1) / (rows + 2)
        if points:  # the counts that were added must not make it descend
            share = max(share, points[-1][1])
        points += [(votes, round(share, 4)) for votes in sorted({fewest, most})]
    return tuple(points)


def least_votes(seen: OutOfFold, loss: float = LOSS) -> int:
    """The votes below which a class is unknown: so many as cost at most `loss` of the right verdicts.

    Each group counts the same, however many rows it has: what comes will be of other groups, and the largest
    of these, rows like one another, says little about how strange they are.
    """
    right = [
        (one.votes, group)
        for one, group, was in zip(seen.judged, seen.groups, seen.right, strict=True)
        if was
    ]
    rows = Counter(group for _, group in right)
    lost = 0.0
    for votes, group in sorted(right):
        lost += 1 / rows[group]
        if lost > loss * len(rows):
            return votes
    return 0
