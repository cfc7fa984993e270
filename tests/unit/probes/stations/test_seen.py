"""What was seen of stations on an interface that is gone, and has come back."""

from meshlens.probes.stations.layout import Fragment
from meshlens.probes.stations.table import Place, Seen

OLD: Place = (bytes(6), "station")
LIVELY: Place = (b"\2" + bytes(5), "station")


def seen() -> Seen:
    return Seen({place: Fragment(first_ns=1, last_ns=5) for place in (OLD, LIVELY)})


def test_who_is_silent_is_forgotten() -> None:
    gone = seen()
    gone.drop_idle(before_ns=5)
    assert set(gone.entries) == {OLD, LIVELY}
    gone.drop_idle(before_ns=6)
    assert gone.entries == {}


def test_who_goes_on_where_the_interface_is_back_keeps_its_counts() -> None:
    gone = seen()
    gone.drop_idle(before_ns=6, but={LIVELY})
    assert set(gone.entries) == {LIVELY}
