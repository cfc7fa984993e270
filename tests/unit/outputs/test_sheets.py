"""What the four sheets say of made-up readings, held to the records themselves."""

from dataclasses import replace

import pytest
from rich.cells import cell_len

from meshlens.outputs.details import DETAILS
from meshlens.outputs.listing import listing, share_rows
from meshlens.outputs.sheet import Sheet, arrange, cells, fit, headings
from meshlens.outputs.sheets import FILTERS, FLOWS, INTERFACES, SHEETS, STATIONS
from meshlens.readings.rates import rates
from meshlens.readings.reading import Reading
from tests.readings import FILTER_IDS, SECOND_NS, reading

BEFORE, NOW = reading(24), reading(25)
RATES = rates(BEFORE, NOW)
HOSTILE = "\x1b[2J\x1b]0;pwned\x07[red]\u202e"


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.title)
def test_every_sheet_fills_80_columns_and_cuts_no_heading(sheet: Sheet[object]) -> None:
    fitted = fit(sheet.columns, 80)
    assert sum(width + 1 for _, width in fitted) - 1 <= 80
    assert [each.strip() for each in headings(sheet.columns, fitted)] == [
        sheet.columns[column].heading for column, _ in fitted
    ]


def test_an_interface_has_its_rates_and_the_sum_of_its_drops() -> None:
    mesh0 = next(line for line in INTERFACES.lines(NOW, RATES) if line.interface.name == "mesh0")
    was, is_ = (
        next(each for each in one.interfaces if each.name == "mesh0").traffic for one in (BEFORE, NOW)
    )
    assert mesh0.rate_in.packets == is_[0].packets - was[0].packets
    assert mesh0.rate_out.bytes == is_[1].bytes - was[1].bytes
    assert mesh0.casts.broadcast == sum(i.broadcast - w.broadcast for i, w in zip(is_, was, strict=True))
    assert sum(each.packets for each in mesh0.ethertypes.values()) == pytest.approx(
        mesh0.rate_in.packets + mesh0.rate_out.packets
    )
    assert mesh0.drops == sum(mesh0.interface.drops.values()) > 0


def test_use_is_that_of_the_busier_direction_and_unknown_without_a_speed() -> None:
    lines = {line.interface.name: line for line in INTERFACES.lines(NOW, RATES)}
    eth0 = lines["eth0"]
    assert eth0.use == 8 * max(eth0.rate_in.bytes, eth0.rate_out.bytes) / 1e9
    assert lines["mesh0"].use == 0


def test_a_station_is_as_silent_as_the_time_since_it_was_seen() -> None:
    quiet = replace(NOW.stations[0], last_ns=NOW.time_ns - 90 * SECOND_NS)
    (line,) = STATIONS.lines(replace(NOW, stations=(quiet,)), RATES)
    assert line.silent_s == 90
    assert cells(STATIONS.columns, line, fit(STATIONS.columns, 80))[-1].strip() == "1m"


def test_the_station_seen_last_stands_first_when_sorted_by_that() -> None:
    old = replace(NOW.stations[0], last_ns=NOW.time_ns - 90 * SECOND_NS)
    lines = STATIONS.lines(replace(NOW, stations=(old, NOW.stations[1])), RATES)
    seen = next(at for at, column in enumerate(STATIONS.columns) if column.heading == "seen")
    assert [line.station.mac for line in arrange(STATIONS, lines, seen)] == [NOW.stations[1].mac, old.mac]


def test_flows_are_those_going_on_and_those_that_ended_since() -> None:
    lines = FLOWS.lines(NOW, RATES)
    assert len(lines) == len(NOW.flows) + len(NOW.ended)
    assert sum(line.over for line in lines) == len(NOW.ended) > 0


def test_a_filter_is_the_sum_of_all_interfaces_and_helpers_are_left_out() -> None:
    counts = (*NOW.counts, replace(NOW.counts[0], filter="%helper"))
    lines = {line.filter: line for line in FILTERS.lines(replace(NOW, counts=counts), RATES)}
    assert set(lines) == set(FILTER_IDS)
    of_arp = [each for each in NOW.counts if each.filter == "arp"]
    assert lines["arp"].packets == sum(each.packets for each in of_arp)
    assert max(line.share for line in lines.values()) == 1


def test_a_name_full_of_escapes_and_markup_is_shown_as_text() -> None:
    hostile = replace(NOW.stations[0], name=HOSTILE, vendor=HOSTILE)
    shown = replace(NOW, stations=(hostile,))
    text = "\n".join(listing(shown, RATES, width=200))
    assert "[red]" in text
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.title)
def test_details_say_something_of_every_line_and_leave_out_what_is_unknown(sheet: Sheet[object]) -> None:
    for line in sheet.lines(NOW, RATES):
        facts = DETAILS[sheet.title](line)
        assert facts[0][0] == sheet.title.rstrip("s")
        assert all(text for _, text in facts)


def test_details_of_a_station_have_its_fingerprint_and_its_histograms() -> None:
    tells = next(line for line in STATIONS.lines(NOW, RATES) if line.station.dhcp and line.station.vendor)
    facts = dict(DETAILS["stations"](tells))
    assert facts["DHCP"].endswith("MSFT 5.0 · asks for 1,3,6,15,119 · options 53,61,12,60,55")
    assert facts["TCP SYN"] == "TTL 64 · window 64240 · MSS 1460 · options mss,sack-ok,time,nop,scale"
    assert facts["sizes"] == "64 B ▕█ █ █▏ 2048 B"
    assert facts["gaps"] == "256 µs ▕████████▏ 65 ms"
    assert facts["says"] == "dad, mdns"


@pytest.mark.parametrize(
    ("wanted", "room", "shares"),
    [
        ([5, 5, 5], None, [5, 5, 5]),
        ([5, 100, 100], 25, [5, 10, 10]),
        ([1, 2, 3], 100, [1, 2, 3]),
        ([9, 9, 9], 0, [1, 1, 1]),
        ([], 10, []),
    ],
)
def test_who_wants_less_than_an_even_share_leaves_the_rest_to_others(
    wanted: list[int], room: int | None, shares: list[int]
) -> None:
    assert share_rows(wanted, room) == shares


@pytest.mark.parametrize("rows", [20, 24, 60])
def test_a_listing_keeps_to_the_rows_and_columns_of_the_terminal(rows: int) -> None:
    lines = listing(NOW, RATES, width=80, rows=rows)
    assert len(lines) <= rows
    assert max(map(cell_len, lines)) <= 80


def test_a_listing_has_only_sheets_that_have_lines() -> None:
    lines = listing(Reading(1, interfaces=NOW.interfaces), RATES, width=80)
    assert lines[0] == f"interfaces: {len(NOW.interfaces)} of {len(NOW.interfaces)}, by in bit/s"
    assert "stations" not in "\n".join(lines)
