from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from meshlens.outputs.text import ago, bars, elide, endpoint, printable, shorten


def test_a_length_of_time_is_told_in_its_largest_unit() -> None:
    told = [ago(seconds) for seconds in (-1, 0.9, 59.9, 60, 3599, 3600, 47 * 3600, 48 * 3600, 10**7)]
    assert told == ["0s", "0s", "59s", "1m", "59m", "1h", "47h", "2d", "115d"]


def test_bars_are_eighths_of_the_highest_and_what_is_not_0_is_seen() -> None:
    assert bars([0, 1e-9, 1, 4, 8]) == " ▁▁▄█"
    assert bars([0, 0]) == "  "
    assert bars([]) == ""


def test_an_endpoint_is_written_as_in_urls() -> None:
    assert [endpoint("10.0.0.1", 53), endpoint("fe80::1", 53), endpoint("fe80::1", 0)] == [
        "10.0.0.1:53", "[fe80::1]:53", "fe80::1",
    ]  # fmt: skip


@given(st.text(), st.integers(2, 20))
def test_what_is_cut_fits_and_steers_no_terminal(text: str, width: int) -> None:
    for cut in (elide, shorten):
        assert cell_len(cut(text, width)) <= width
        assert cut(text, width).isprintable()
    assert printable(text).isprintable()


def test_words_are_cut_at_their_end_and_ids_in_their_middle() -> None:
    assert shorten("Apple, Inc.", 8) == "Apple,…"
    assert elide("udp:port-5353", 8) == "ud…-5353"
