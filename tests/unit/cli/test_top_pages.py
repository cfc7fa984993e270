"""The pages of `meshlens top` without a screen: sort, search, freeze, drill and back."""

from dataclasses import replace
from typing import Any

import pytest

from meshlens.cli.top_pages import Pages, missed
from meshlens.outputs.sheets import FILTERS, FLOWS, INTERFACES, SHEETS, STATIONS
from meshlens.readings.reading import Reading
from tests.readings import FILTERS as NUMBER_OF_FILTERS
from tests.readings import STATIONS as NUMBER_OF_STATIONS
from tests.readings import reading, readings

TAB = {sheet.title: tab for tab, sheet in enumerate(SHEETS)}


@pytest.fixture
def pages() -> Pages:
    made = Pages(lambda: {reading(3).stations[1].mac: {"10.0.1.2", "192.0.2.2"}})
    for each in readings(3):
        made.take(each)
    return made


def look_at(pages: Pages, title: str) -> list[Any]:
    pages.tab = TAB[title]
    return pages.lines()


def test_every_page_has_the_lines_of_the_latest_reading(pages: Pages) -> None:
    assert len(look_at(pages, "stations")) == pages.total(pages.tab) == NUMBER_OF_STATIONS
    assert len(look_at(pages, "filters")) == NUMBER_OF_FILTERS
    assert {line.interface.index for line in look_at(pages, "interfaces")} == {
        each.index for each in reading(2).interfaces
    }


def test_sorting_by_a_column_puts_the_largest_first_and_again_the_smallest(pages: Pages) -> None:
    look_at(pages, "interfaces")
    drops = next(at for at, column in enumerate(INTERFACES.columns) if column.heading == "drops")
    pages.sort_by(drops)
    first = pages.lines()[0].drops
    pages.sort_by(drops)
    assert pages.lines()[-1].drops == first == max(line.drops for line in pages.lines()) > 0
    pages.sort_by(drops + 1)
    assert pages.page.reverse is False


def test_columns_to_sort_by_go_round(pages: Pages) -> None:
    pages.page.sort = 0
    pages.sort_by(-1)
    assert pages.page.sort == len(INTERFACES.columns) - 1
    pages.sort_by(len(INTERFACES.columns))
    assert pages.page.sort == 0


def test_a_search_is_of_one_page_and_back_undoes_it(pages: Pages) -> None:
    look_at(pages, "stations")
    pages.page.search = "host-11 eth0"
    assert [line.station.name for line in pages.lines()] == []
    assert pages.nothing() == "nothing has all these words"
    pages.page.search = "host-11 br"
    assert {line.station.name for line in pages.lines()} <= {"host-11", "host-111"}
    assert len(look_at(pages, "filters")) == NUMBER_OF_FILTERS
    look_at(pages, "stations")
    assert pages.back()
    assert len(pages.lines()) == NUMBER_OF_STATIONS
    assert not pages.back()


def test_an_interface_leads_to_its_stations_and_back(pages: Pages) -> None:
    line = look_at(pages, "interfaces")[0]
    assert pages.drill(line) == ""
    assert pages.page.sheet is STATIONS
    assert {each.station.interface for each in pages.lines()} == {line.interface.name}
    assert len(pages.lines()) == sum(each.interface == line.interface.name for each in reading(2).stations)
    assert pages.back()
    assert pages.page.sheet is INTERFACES
    assert len(look_at(pages, "stations")) == NUMBER_OF_STATIONS


def test_a_station_leads_to_the_flows_of_its_addresses_and_back_through_both(pages: Pages) -> None:
    interface = next(line for line in look_at(pages, "interfaces") if line.interface.name == "br-client")
    pages.drill(interface)
    station = next(line for line in pages.lines() if line.station.mac == reading(3).stations[1].mac)
    assert pages.drill(station) == ""
    assert pages.page.sheet is FLOWS
    flows = (*reading(2).flows, *reading(2).ended)
    of_it = [each for each in flows if {each.src, each.dst} & {"10.0.1.2", "192.0.2.2"}]
    assert len(pages.lines()) == len(of_it) > 0
    assert len(pages.lines()) < len(flows)
    assert [pages.back(), pages.page.sheet] == [True, STATIONS]
    assert pages.page.of == "on br-client"
    assert [pages.back(), pages.page.sheet] == [True, INTERFACES]


def test_a_station_without_known_addresses_says_so_but_has_its_link_local_one(pages: Pages) -> None:
    station = look_at(pages, "stations")[0]
    assert "no IP address of" in pages.drill(station)
    assert pages.lines() == []


def test_addresses_that_cannot_be_read_are_unknown() -> None:
    def busy() -> dict[str, set[str]]:
        raise OSError("the table changed faster than it could be read")

    pages = Pages(busy)
    pages.take(reading(0))
    assert "no IP address of" in pages.drill(look_at(pages, "stations")[0])


def test_behind_a_flow_and_a_filter_there_is_nothing(pages: Pages) -> None:
    for title in ("flows", "filters"):
        line = look_at(pages, title)[0]
        assert title in pages.drill(line)
        assert pages.page.sheet.title == title


def test_while_frozen_nothing_changes_and_after_it_the_latest_is_there(pages: Pages) -> None:
    look_at(pages, "stations")
    before, time_ns = pages.lines(), pages.reading.time_ns
    pages.freeze()
    pages.take(reading(3))
    pages.take(reading(4))
    assert (pages.lines(), pages.reading.time_ns) == (before, time_ns)
    pages.freeze()
    assert pages.reading == reading(4)
    assert pages.rates.seconds == 1


def test_speeds_are_those_of_each_reading_and_0_where_a_thing_was_not_there(pages: Pages) -> None:
    pages = Pages()
    for each in readings(4, first=18):  # mesh1 is gone in the last two
        pages.take(each)
    line = next(line for line in look_at(pages, "interfaces") if line.interface.name == "eth0")
    assert pages.speeds(line)[-1] == INTERFACES.speed(line) > 0
    assert pages.speeds(line)[0] == 0  # there is no rate before the second reading
    gone = replace(line, interface=replace(line.interface, name="mesh1"))
    first, second, *rest = pages.speeds(gone)
    assert second > first == 0
    assert rest == [0, 0]


def test_speeds_are_remembered_for_a_bounded_time_and_number_of_things() -> None:
    pages = Pages()
    counts = reading(1).counts[0]
    for step in range(110):
        many = tuple(replace(counts, filter=f"f{n}", bytes=n * step) for n in range(400))
        pages.take(Reading(step * 10**9, counts=many))
    lines = look_at(pages, "filters")
    assert len(lines) == 400
    assert len(pages.speeds(lines[0])) == 100
    remembered = [bool(pages.speeds(line)[-1]) for line in sorted(lines, key=FILTERS.speed)]
    assert remembered == [False] * 100 + [True] * 300


def test_missed_is_told_with_probes_and_reasons() -> None:
    assert missed(Reading(0)) == "missed 0"
    told = missed(Reading(0, missed={"flows": {"map_full": 3, "fetched": 0}, "stations": {"map_full": 4}}))
    assert told == "missed 7 (flows map_full 3, stations map_full 4)"


def test_a_page_without_lines_says_why() -> None:
    pages = Pages(absent={"filters": "no filters: give a list"})
    pages.tab = TAB["filters"]
    assert pages.nothing() == "no filters: give a list"
    pages.tab = TAB["flows"]
    assert pages.nothing() == "nothing seen yet"
