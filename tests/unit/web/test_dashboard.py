"""The dashboard in a real Chromium: what is on the page, and that nothing else is."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import sleep
from typing import Any

import pytest

from meshlens.readings.reading import Reading
from meshlens.web.app import create_app
from tests.browser import Browser, chromium, missing
from tests.gateway import Gateway
from tests.readings import START_NS, reading
from tests.unit.web.conftest import TOKEN
from tests.web_site import FakeHub, serving

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")

HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


class Page:
    """A dashboard over a gateway whose seconds pass when the test says so."""

    def __init__(self, browser: Browser, hub: FakeHub, address: str) -> None:
        self.browser = browser
        self.hub = hub
        self.address = address
        self.gateway = Gateway(start_ns=START_NS)
        self.change: Callable[[Reading], Reading] = lambda reading: reading

    def pass_seconds(self, number: int = 1) -> None:
        for _ in range(number):
            self.hub.push(self.change(self.gateway.step()))

    def open(self, fragment: str = "", **options: Any) -> None:
        self.browser.open("about:blank")
        self.browser.complaints()
        self.browser.open(self.address + fragment, **options)
        self.until_drawn()

    def until_drawn(self) -> None:
        """Let seconds pass until figures are on the page: the first tell of no rate."""

        def drawn() -> bool:
            self.pass_seconds()
            return "t/s" in self.browser.text("#stations")

        self.browser.wait("figures", drawn)
        self.settle()

    def settle(self) -> None:
        """Wait until all that was pushed is drawn: what is compared after this is not late."""

        def stands() -> bool:
            before = self.picture()
            sleep(0.25)
            return self.picture() == before

        self.browser.wait("rest", stands)

    def picture(self) -> str:
        return str(self.browser.run("return document.querySelector('#chart').toDataURL()"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    hub = FakeHub()
    with serving(create_app(hub), hub) as port:
        found = Page(browser, hub, f"http://127.0.0.1:{port}/")
        yield found
        assert browser.complaints() == []
        browser.open("about:blank")


def test_the_page_loads_without_a_complaint_and_shows_what_is_known(page: Page) -> None:
    page.open()
    text = page.browser.text("body")
    for words in (
        "annas-laptop",
        "br-client",
        "UCAST:TCP",
        "198.51.100.34:443",
        "ipv6",
        "flows: fetched",
        "38 ns",
    ):
        assert words in text, words
    assert page.browser.text("#status") == "Live"


def test_the_chart_moves_when_readings_come_and_only_then(page: Page) -> None:
    page.open()
    before, value = page.picture(), page.browser.text("#legend")
    sleep(0.5)
    assert page.picture() == before
    page.pass_seconds()
    page.browser.wait("another chart", lambda: page.picture() != before)
    page.browser.wait("other values", lambda: page.browser.text("#legend") != value)


def test_the_chart_stands_while_paused_and_catches_up(page: Page) -> None:
    page.open()
    page.browser.click("#pause")
    assert page.browser.text("#status") == "Paused"
    before = page.picture()
    page.pass_seconds(5)
    sleep(0.5)
    assert page.picture() == before
    page.browser.click("#pause")
    page.browser.wait("another chart", lambda: page.picture() != before)


def test_what_the_chart_shows_is_what_the_readings_say(page: Page) -> None:
    """The figures under the keyboard's cursor against those computed here."""
    page.open()
    page.browser.wait("figures", lambda: page.browser.text("#legend"))
    states = page.hub._readings[-2:]
    (was, now) = ({each.name: each.traffic for each in state.interfaces} for state in states)
    page.browser.wait("the newest", lambda: key(page, "End") and "wan0" in page.browser.text("#chart-read"))
    bits = (now["wan0"][0].bytes - was["wan0"][0].bytes) * 8 / 1e6
    shown = f"wan0: in {bits:.1f} Mbit/s" if bits >= 10 else f"wan0: in {bits:.2f} Mbit/s"
    page.browser.wait(shown, lambda: key(page, "End") and shown in page.browser.text("#chart-read"))


def key(page: Page, name: str) -> bool:
    script = (
        "document.querySelector('#chart').dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}))"
    )
    page.browser.run(script, name)
    return True


def test_the_mouse_reads_values(page: Page) -> None:
    page.open()
    page.pass_seconds(5)
    page.browser.point("#chart", 0.7, 0.5)
    page.browser.wait("values", lambda: "wan0" in page.browser.text("#tip"))
    page.browser.point("#host", 0.5, 0.5)
    page.browser.wait("no values", lambda: not page.browser.text("#tip"))


LINES = [("filters", "UCAST:TCP"), ("stations", "annas-laptop"), ("interfaces", "wan0")]


@pytest.mark.parametrize(("kind", "name"), LINES)
def test_lines_are_of_what_is_chosen(page: Page, kind: str, name: str) -> None:
    page.open()
    page.browser.click(f"input[value={kind}]")
    page.browser.wait("its lines", lambda: name in page.browser.text("#legend"))
    others = {name for _, name in LINES} - {name}
    assert not any(other in page.browser.text("#legend") for other in others)


def test_a_line_can_be_taken_out(page: Page) -> None:
    page.open()
    before = page.picture()
    page.browser.click("#legend button")
    assert page.picture() != before
    page.browser.click("#legend button")
    assert page.picture() == before


def test_an_interface_that_is_chosen_is_all_one_sees(page: Page) -> None:
    page.open()
    page.browser.click("#interfaces button[data-name=mesh0]")

    def only_mesh() -> bool:
        page.pass_seconds()
        stations = page.browser.text("#stations")
        return "node-church-tower" in stations and "annas-laptop" not in stations

    page.browser.wait("the stations of mesh0 alone", only_mesh)
    assert "interface=mesh0" in page.browser.run("return location.hash")
    assert page.browser.text("#legend").startswith("mesh0")
    assert "wan0" not in page.browser.text("#legend")


def test_the_address_holds_what_was_chosen(page: Page) -> None:
    page.open("#kind=filters&by=packets&interface=mesh0")
    page.browser.wait("filters", lambda: "UCAST:TCP" in page.browser.text("#legend"))
    assert "pkt/s" in page.browser.text("#legend")
    assert "mesh-lan" not in page.browser.text("#legend")
    page.browser.run("location.hash = 'kind=stations'")
    page.until_drawn()
    page.browser.wait("stations", lambda: "annas-laptop" in page.browser.text("#legend"))
    assert page.browser.run("return document.querySelector('input[value=stations]').checked")
    assert "bit/s" in page.browser.text("#legend")


def test_a_line_of_ones_own_choice_is_drawn_alone_until_it_is_removed(page: Page) -> None:
    """BCAST:DHCP carries least of all filters."""
    page.open("#kind=filters&interface=mesh0")
    assert "BCAST:DHCP" not in page.browser.text("#legend")
    page.browser.run(
        "const i = document.querySelector('#find'); i.focus(); i.value = 'dhcp';"
        "i.dispatchEvent(new Event('input'))"
    )
    offered = "return [...document.querySelectorAll('#found option')].map(o => o.value)"
    page.browser.wait("the offer", lambda: page.browser.run(offered) == ["BCAST:DHCP"])
    page.browser.run(
        "const i = document.querySelector('#find'); i.value = 'BCAST:DHCP';"
        "i.dispatchEvent(new Event('input'))"
    )

    def alone() -> bool:
        page.pass_seconds()
        legend = page.browser.text("#legend")
        return legend.startswith("BCAST:DHCP") and "UCAST" not in legend and " 0 " not in legend

    page.browser.wait("its line alone", alone)
    assert "watch=BCAST%3ADHCP" in page.browser.run("return location.hash")
    page.browser.click("#legend .drop")
    page.browser.wait("the top again", lambda: "UCAST:TCP" in page.browser.text("#legend"))


def test_what_is_watched_has_a_line_before_its_first_packet_and_is_asked_of_the_history(page: Page) -> None:
    page.open("#kind=stations&watch=02:00:00:00:00:99&range=3600")
    page.browser.wait("the question", lambda: page.hub.asked and page.hub.asked[-1]["names"])
    assert page.hub.asked[-1]["names"] == ["02:00:00:00:00:99"]
    page.browser.run(
        "const s = document.querySelector('#range'); s.value = '0'; s.dispatchEvent(new Event('change'))"
    )
    silent = "02:00:00:00:00:99\n0 bit/s"
    page.browser.wait("a line of zeros", lambda: page.browser.text("#legend").startswith(silent))


def test_a_stored_range_is_drawn_from_the_history(page: Page) -> None:
    page.open()
    page.browser.run(
        "const s = document.querySelector('#range'); s.value = '86400'; s.dispatchEvent(new Event('change'))"
    )
    page.browser.wait("stored lines", lambda: page.browser.text("#legend").startswith("bat0"))
    asked = page.hub.asked[-1]
    assert int(str(asked["until_ns"])) - int(str(asked["since_ns"])) == pytest.approx(86_400e9)
    assert not page.browser.text("#chart-empty")


def test_without_history_there_is_no_range_to_choose(browser: Browser) -> None:
    hub = FakeHub(reading(40))
    hub.keeps_history = False
    with serving(create_app(hub), hub) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        browser.wait("the host's name", lambda: browser.text("#host"))
        assert (
            browser.run("return getComputedStyle(document.querySelector('#range-label')).display") == "none"
        )
        browser.open("about:blank")


def test_what_hosts_call_themselves_stays_text(page: Page) -> None:
    """Names come from DHCP and mDNS, filters from files, interface names from whoever made them."""

    def hostile(state: Reading) -> Reading:
        stations = tuple(replace(each, name=HOSTILE, vendor=HOSTILE) for each in state.stations)
        counts = tuple(replace(each, filter=HOSTILE + each.filter) for each in state.counts)
        flows = tuple(replace(each, src=HOSTILE, protocol=HOSTILE) for each in state.flows)
        interfaces = tuple(replace(each, name=HOSTILE + each.name) for each in state.interfaces)
        return replace(
            state, stations=stations, counts=counts, flows=flows, interfaces=interfaces,
            missed={HOSTILE: {HOSTILE: 3}},
        )  # fmt: skip

    page.change = hostile
    page.open()
    for kind in ("interfaces", "filters", "stations"):
        page.browser.click(f"input[value={kind}]")
        page.pass_seconds()
        page.browser.point("#chart", 0.7, 0.5)
        page.browser.wait("the line's name", lambda: HOSTILE in page.browser.text("#legend"))
        page.browser.wait("its values", lambda: HOSTILE in page.browser.text("#tip"))
    for place in ("#stations", "#filters", "#flows", "#missed", "#interfaces"):
        assert HOSTILE in page.browser.text(place), place
    found = page.browser.run("return [document.images.length, document.scripts.length, document.title]")
    assert found[:2] == [1, 1]
    assert "owned" not in found[2]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_colours_are_those_the_user_likes_and_have_contrast(page: Page, scheme: Any) -> None:
    """WCAG 2.2, 1.4.3: 4.5 between text and what is behind it; 1.4.11: 3 for a chart's lines."""
    page.open(scheme=scheme)
    back = luminance(colour(page, "--card"))
    assert (back > 0.5) == (scheme == "light")
    assert luminance(colour(page, "--back")) == pytest.approx(back, abs=0.15)
    for name, least in {"--text": 7, "--muted": 4.5, "--good": 4.5, "--warn": 4.5, "--bad": 4.5}.items():
        assert contrast(luminance(colour(page, name)), back) >= least, name
    for number in range(1, 9):
        assert contrast(luminance(colour(page, f"--line-{number}")), back) >= 4.5, number


def test_the_button_changes_the_colours_and_the_browser_remembers(page: Page) -> None:
    page.open(scheme="light")
    light = colour(page, "--card")
    page.browser.click("#theme")
    dark = colour(page, "--card")
    assert luminance(dark) < 0.2 < luminance(light)
    page.open(scheme="light")
    assert colour(page, "--card") == dark
    page.browser.run("localStorage.clear()")


def colour(page: Page, name: str) -> list[float]:
    script = (
        "const e = document.createElement('i'); document.body.append(e);"
        "e.style.color = `var(${arguments[0]})`;"
        "const c = getComputedStyle(e).color; e.remove(); return c.match(/[0-9.]+/g).map(Number)"
    )
    return list(page.browser.run(script, name))[:3]


def luminance(rgb: list[float]) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (each / 255 for each in rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("width", [375, 320, 768, 1280, 2560])
def test_nothing_stands_out_to_the_side(page: Page, width: int) -> None:
    """Also with the longest names that Linux (15) and DHCP (255) allow."""

    def long(state: Reading) -> Reading:
        stations = tuple(replace(each, name="n" * 255) for each in state.stations)
        interfaces = tuple(replace(each, name=each.name.ljust(15, "x")) for each in state.interfaces)
        counts = tuple(replace(each, filter="f" * 80 + each.filter) for each in state.counts)
        return replace(state, stations=stations, interfaces=interfaces, counts=counts)

    page.change = long
    page.open("#kind=filters", width=width, height=800)
    page.pass_seconds()
    widths = page.browser.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1] == width


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page: Page) -> None:
    page.open()
    nameless = page.browser.run("""
        const names = e => e.innerText?.trim() || e.getAttribute('aria-label') || e.labels?.[0]?.innerText;
        const controls = [...document.querySelectorAll('button, input, select, a, canvas')];
        return controls.filter(e => !names(e)).map(e => e.outerHTML)
    """)
    assert nameless == []
    landmarks = "return ['header', 'main', 'footer', 'h1', 'h2'].filter(e => !document.querySelector(e))"
    assert page.browser.run(landmarks) == []
    assert page.browser.run("return document.querySelector('#chart').tabIndex") == 0
    assert page.browser.run("return document.documentElement.lang") == "en"


def test_a_lost_connection_is_told_and_found_again(browser: Browser) -> None:
    hub = FakeHub(reading(40))
    with serving(create_app(hub), hub) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        hub.push(reading(60))
        browser.wait("life", lambda: browser.text("#status") == "Live")
    browser.wait("the loss", lambda: "Connection lost" in browser.text("#status"))
    again = FakeHub(reading(60))
    with serving(create_app(again), again, port=port):

        def alive() -> bool:
            again.push(reading(61 + len(again._readings)))
            return browser.text("#status") == "Live"

        browser.wait("life again", alive)
        browser.complaints()  # of the connection that was lost
        browser.open("about:blank")


def test_a_page_that_nobody_sees_lets_go_of_its_connection_until_it_is_seen(page: Page) -> None:
    page.open()
    page.browser.run("""
        const wait = setTimeout;
        window.setTimeout = (run, ms) => wait(run, ms / 200);
        Object.defineProperty(document, "hidden", {get: () => window.unseen});
        window.see = seen => {
            window.unseen = !seen;
            document.dispatchEvent(new Event("visibilitychange"));
        };
        const loaded = () => performance.getEntriesByType("resource");
        window.streams = () => loaded().filter(e => e.name.includes("events"));
        window.see(false);
    """)
    page.browser.wait("the end of the stream", lambda: page.browser.run("return streams().length") == 1)
    before = page.picture()
    page.browser.run("window.see(true)")

    def moved() -> bool:
        page.pass_seconds()
        return page.picture() != before and page.browser.text("#status") == "Live"

    page.browser.wait("life", moved)


def test_a_token_in_the_address_is_gone_from_it_and_the_page_lives(browser: Browser) -> None:
    hub = FakeHub(reading(40))
    with serving(create_app(hub, token=TOKEN), hub) as port:
        page = f"http://127.0.0.1:{port}/"
        browser.open(page)
        assert "asks for a token" in browser.text("main")
        browser.open(f"{page}?token={TOKEN}")
        hub.push(reading(60))
        browser.wait("life", lambda: browser.text("#status") == "Live")
        assert browser.run("return location.href") == page
        assert browser.run("return document.cookie") == ""
        assert TOKEN not in json.dumps(browser.run("return performance.getEntries().map(e => e.name)"))
        browser.complaints()  # the 401 of the door
        browser.open("about:blank")
