"""`meshlens top` on a terminal of 80x24, driven by keys, on made-up readings."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from threading import Event

import pytest

pytest.importorskip("textual", reason="the full screen needs textual")

from textual.pilot import Pilot

from meshlens.cli.top_app import TopApp
from meshlens.cli.top_grid import Grid
from meshlens.cli.top_pages import Pages
from meshlens.readings.reading import Reading
from tests.readings import reading, readings

MAC = reading(0).stations[1].mac
HOSTILE = "\x1b[2J\x1b]0;pwned\x07[red]x[/nosuch]"


class Still:
    """A source that tells nothing by itself."""

    def __init__(self) -> None:
        self.over = Event()

    def read(self) -> Reading:
        return reading(0)

    def wait(self, seconds: float) -> None:
        self.over.wait(30)

    def wake(self) -> None:
        self.over.set()


Script = Callable[[TopApp, Pilot[None]], Awaitable[None]]


def play(script: Script, *taken: Reading, size: tuple[int, int] = (80, 24)) -> TopApp:
    """Run the application on a terminal of that size, with these readings taken."""

    async def main() -> TopApp:
        pages = Pages(lambda: {MAC: {"10.0.1.2"}}, {"filters": "no filters: give a list with --filters LIST"})
        for each in taken or readings(3):
            pages.take(each)
        app = TopApp(Still(), pages, 1)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(app, pilot)
        app.end_reading()
        return app

    return asyncio.run(main())


def screen(app: TopApp) -> list[str]:
    """The text of each row of the terminal."""
    rows = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in row) for row in rows]


def lines_of(app: TopApp) -> list[str]:
    """Those of the table, without headings."""
    top = app.query_one(Grid).region
    return [row.rstrip() for row in screen(app)[top.y + 1 : top.bottom] if row.strip()]


def test_80_by_24_has_head_tabs_table_details_and_keys() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        rows = screen(app)
        assert len(rows) == 24
        assert rows[0].startswith("meshlens top · 10:00:02 UTC · missed ")
        assert rows[1].split() == (
            "1 interfaces 6 2 stations 200 3 flows 300 4 filters 580 5 wifi 6 6 air 6".split()
        )
        assert rows[2].startswith("6 of 6 interfaces · by in bit/s ▼")
        assert rows[3].split()[:3] == ["interface", "in", "pkt/s"]
        assert lines_of(app)[0].startswith("mesh0 ")
        assert any("rate" in row and "bit/s" in row for row in rows[10:])
        for key in ("Tab", "Drill", "Esc", "/", "Sort", "Freeze", "Details", "? Help", "q Quit"):
            assert key in rows[23]

    play(script)


def test_numbers_and_tab_turn_to_pages() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        titles = []
        for key in ("2", "3", "4", "tab", "shift+tab", "left", "right"):
            await pilot.press(key)
            titles.append(screen(app)[3].split()[0])
        assert titles == ["station", "proto", "filter", "station", "filter", "proto", "filter"]

    play(script)


def test_a_click_on_a_tab_turns_to_its_page_and_one_on_a_line_goes_there_then_drills() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.click("#tabs", offset=(screen(app)[1].index("stations"), 0))
        assert screen(app)[3].startswith("station ")
        await pilot.press("1")
        name = lines_of(app)[1].split()[0]
        await pilot.click(Grid, offset=(3, 2))
        assert app.query_one(Grid).line.interface.name == name  # type: ignore[union-attr]
        await pilot.click(Grid, offset=(3, 2))
        assert f" of 200 stations · on {name}" in screen(app)[2]

    play(script)


def test_turning_to_another_page_ends_the_typing_and_keeps_what_was_searched_for() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "slash", *"host-91", "tab")
        assert app.query_one(Grid).has_focus
        assert " of 300 flows · by " in screen(app)[2]
        await pilot.press("shift+tab")
        assert screen(app)[2].startswith("1 of 200 stations · with 'host-91'")

    play(script)


def test_sorting_and_reversing_are_told_and_done() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("4", "s")
        assert "by packets ▼" in screen(app)[2]
        first = lines_of(app)[0]
        await pilot.press("r")
        assert "by packets ▲" in screen(app)[2]
        await pilot.press("end")
        assert lines_of(app)[-1] == first
        await pilot.press("home", "S", "S", "S")
        assert "by filter ▼" in screen(app)[2] or "by filter ▲" in screen(app)[2]

    play(script)


def test_a_click_on_a_heading_sorts_by_it() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.click(Grid, offset=(screen(app)[3].index("bcast/s"), 0))
        assert "by bcast/s ▼" in screen(app)[2]

    play(script)


def test_what_is_typed_behind_a_slash_is_searched_for_until_escape() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "slash", *"host-91")
        assert screen(app)[2].startswith("1 of 200 stations · with 'host-91'")
        assert [line.split()[1] for line in lines_of(app)] == ["host-91"]
        await pilot.press("enter")
        assert app.query_one(Grid).has_focus
        assert len(lines_of(app)) == 1
        await pilot.press("escape")
        assert screen(app)[2].startswith("200 of 200 stations")
        await pilot.press("slash", "x", "escape")
        assert app.query_one(Grid).has_focus
        assert screen(app)[2].startswith("200 of 200 stations")

    play(script)


def test_while_frozen_readings_come_in_unseen() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        before = screen(app)
        assert "FROZEN" in before[0]
        app.post_message(app.Told(reading(3)))
        await pilot.pause()
        assert screen(app) == before
        await pilot.press("space")
        assert screen(app)[0].startswith("meshlens top · 10:00:03 UTC")

    play(script)


def test_enter_goes_from_an_interface_to_its_stations_to_their_flows_and_escape_back() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"br-client", "enter", "enter")
        assert " of 200 stations · on br-client" in screen(app)[2]
        await pilot.press("slash", *MAC, "enter", "enter")
        assert f" of 300 flows · of {reading(0).stations[1].name or MAC}" in screen(app)[2]
        assert all("10.0.1.2:" in line for line in lines_of(app))
        await pilot.press("escape")
        assert screen(app)[3].startswith("station ")
        await pilot.press("escape", "escape")  # the search, then the drilling
        assert screen(app)[3].startswith("interface ")

    play(script)


def test_the_cursor_stays_on_the_first_line_but_follows_a_thing_below_it() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        grid = app.query_one(Grid)
        first = grid.line.station.mac  # type: ignore[union-attr]
        await pilot.press("down", "down")
        chosen = grid.line.station.mac  # type: ignore[union-attr]
        app.post_message(app.Told(reading(9)))
        await pilot.pause()
        assert grid.line.station.mac == chosen != first  # type: ignore[union-attr]
        assert any(chosen in line for line in lines_of(app))

    play(script)


def test_details_follow_the_cursor_and_can_be_put_away() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        with_details = len(lines_of(app))
        grid = app.query_one(Grid)
        await pilot.press("down")
        mac = grid.line.station.mac  # type: ignore[union-attr]
        assert any(row.startswith(f"   station {mac}") for row in screen(app))
        await pilot.press("d")
        assert len(lines_of(app)) > with_details
        assert not any(row.startswith(f"   station {mac}") for row in screen(app))

    play(script)


def test_help_lists_the_keys_and_goes_away() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        shown = "\n".join(screen(app))
        assert "freeze: nothing moves" in shown
        assert '"missed" are' in shown
        await pilot.press("escape")
        assert "freeze: nothing moves" not in "\n".join(screen(app))

    play(script)


def test_names_with_escapes_and_markup_are_shown_as_text() -> None:
    """Also in details, in a notice, and above the flows that one was drilled into."""
    state = reading(2)
    stations = tuple(replace(each, name=HOSTILE, vendor=HOSTILE) for each in state.stations)
    interfaces = tuple(replace(each, name=HOSTILE) for each in state.interfaces)
    counts = tuple(replace(each, filter=HOSTILE) for each in state.counts)
    hostile = replace(state, stations=stations, interfaces=interfaces, counts=counts)

    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        for keys in (["1"], ["2"], ["enter"], ["escape", "4", "enter"]):
            await pilot.press(*keys)
            await pilot.pause()
            assert all(row.isprintable() for row in screen(app))
        await pilot.press("2", "d", "d")
        assert any("[red]x[/nosuch]" in row for row in screen(app))

    play(script, hostile, size=(160, 30))


def test_a_page_without_lines_says_why() -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        assert "no filters: give a list with --filters LIST" in screen(app)[5]
        await pilot.press("enter", "down", "d")

    play(script, replace(reading(1), counts=()))


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (200, 60)])
def test_any_terminal_will_do(size: tuple[int, int]) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        for key in ("1", "2", "3", "4", "question_mark", "escape", "pagedown", "end", "home"):
            await pilot.press(key)
        assert len(screen(app)) == size[1]

    play(script, size=size)


def test_q_ends_without_an_error_and_ctrl_c_with_an_interrupt() -> None:
    async def quit_(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("q")

    async def interrupt(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", "ctrl+c")

    assert play(quit_).ended_by is None
    assert isinstance(play(interrupt).ended_by, KeyboardInterrupt)


def test_an_error_of_the_source_ends_the_application() -> None:
    class Broken(Still):
        def read(self) -> Reading:
            raise OSError("no more")

        def wait(self, seconds: float) -> None:
            """No time."""

    async def main() -> TopApp:
        app = TopApp(Broken(), Pages(), 1)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause(0.2)
        app.end_reading()
        return app

    assert str(asyncio.run(main()).ended_by) == "no more"
