"""What ended attachments counted is kept by the name of the interface."""

from meshlens.probes.count.ledger import Ledger
from meshlens.probes.count.readout import Layout, Totals
from meshlens.probes.snapshot import Count

LAYOUT = Layout(("a", "b"), ((0,), (1,)))


def totals(a: tuple[int, int], b: tuple[int, int] = (0, 0), unreadable: int = 0) -> Totals:
    return Totals([a, b], {"unreadable": unreadable})


def test_sums_are_kept_by_interface_direction_and_filter() -> None:
    ledger = Ledger()
    ledger.add("wlan0", "in", LAYOUT, totals((1, 60), (2, 120)))
    ledger.add("wlan0", "in", LAYOUT, totals((10, 600)))
    ledger.add("wlan0", "out", LAYOUT, totals((5, 300)))
    assert list(ledger.counts(["a", "b"])) == [
        Count("a", "wlan0", "in", 11, 660),
        Count("b", "wlan0", "in", 2, 120),
        Count("a", "wlan0", "out", 5, 300),
        Count("b", "wlan0", "out", 0, 0),
    ]


def test_an_interface_is_listed_from_when_it_is_opened() -> None:
    ledger = Ledger()
    ledger.open("wlan0", "in")
    assert list(ledger.counts(["a"])) == [Count("a", "wlan0", "in", 0, 0)]


def test_what_is_taken_off_cancels_what_is_added_later() -> None:
    ledger = Ledger()
    ledger.add("new", "in", LAYOUT, totals((3, 180), unreadable=1), times=-1)
    ledger.add("new", "in", LAYOUT, totals((5, 300), unreadable=1))
    assert list(ledger.counts(["a"])) == [Count("a", "new", "in", 2, 120)]
    assert ledger.missed["unreadable"] == 0


def test_a_copy_changes_nothing_here() -> None:
    ledger = Ledger()
    ledger.add("wlan0", "in", LAYOUT, totals((1, 60)))
    copied = ledger.copy()
    copied.add("wlan0", "in", LAYOUT, totals((1, 60), unreadable=4))
    assert list(ledger.counts(["a"])) == [Count("a", "wlan0", "in", 1, 60)]
    assert ledger.missed["unreadable"] == 0


def test_a_filter_that_was_dropped_begins_anew_when_it_comes_back() -> None:
    ledger = Ledger()
    ledger.add("wlan0", "in", LAYOUT, totals((1, 60), (2, 120)))
    ledger.forget(keep=["b"])
    assert list(ledger.counts(["a", "b"])) == [
        Count("a", "wlan0", "in", 0, 0),
        Count("b", "wlan0", "in", 2, 120),
    ]
