"""Who is answered, and with which headers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshlens.web import guard
from meshlens.web.guard import COOKIE, HEADERS
from tests.unit.web.conftest import TOKEN, Site

PATHS = ["/", "/static/app.js", "/metrics", "/healthz", "/api/v1/reading", "/api/v1/stations", "/nothing"]
STATIC = Path(guard.__file__).parent / "static"


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers_that_keep_a_browser_strict(site: Site, path: str) -> None:
    for answer in (
        site.get(path),
        site.get(path, "POST"),
        site.get(path, Host="evil.example"),
        site.get(path, "HEAD"),
    ):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, answer.status)


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize("path", PATHS)
def test_no_other_origin_is_ever_let_in(site: Site, path: str) -> None:
    answer = site.get(path, Origin="http://evil.example", Sec_Fetch_Site="cross-site")
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:9617", "LocalHost", "localhost.", "127.0.0.1", "127.0.0.1:9617", "192.0.2.7",
        "[::1]", "[::1]:9617", "[2001:db8::1]", "gateway.example", "GATEWAY.example.:80",
    ],
)  # fmt: skip
def test_addresses_and_own_names_are_answered(site: Site, host: str) -> None:
    assert site.get("/api/v1/about", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:9617", "",
        "gateway.example.evil.example", "[::1].evil.example", "127.0.0.1@evil.example", "localhost:9617x",
        "1.2.3", "0x7f.1", "::1",
    ],
)  # fmt: skip
def test_a_name_of_somebody_else_is_refused(site: Site, host: str) -> None:
    answer = site.get("/api/v1/about", Host=host)
    assert answer.status == 421
    assert "is not a name of this server" in answer.json["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_can_be_changed(site: Site, method: str, path: str) -> None:
    answer = site.get(path, method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert "read-only" in answer.json["error"]


def test_head_is_get_without_its_body(site: Site) -> None:
    for path in ["/", "/api/v1/stations", "/metrics", "/api/v1/events"]:
        answer = site.get(path, "HEAD")
        assert (answer.status, answer.body) == (200, b"")


# ---- with a token


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/reading", "/api/v1/events", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}="},
    ],
)
def test_without_the_token_there_is_no_answer(closed_site: Site, path: str, headers: dict[str, str]) -> None:
    answer = closed_site.get(path, **headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json == {"error": "a token is needed: Authorization: Bearer …"}


def test_a_token_in_the_address_opens_the_front_door_only(closed_site: Site) -> None:
    assert closed_site.get(f"/metrics?token={TOKEN}").status == 401
    assert closed_site.get(f"/api/v1/reading?token={TOKEN}").status == 401


def test_who_has_the_token_is_answered(closed_site: Site) -> None:
    assert closed_site.get("/api/v1/about", Authorization=f"Bearer {TOKEN}").status == 200
    assert closed_site.get("/metrics", authorization=f"bearer {TOKEN}").status == 200


def test_the_front_door_takes_the_token_once_and_gives_a_cookie_that_scripts_and_other_sites_cannot_use(
    closed_site: Site,
) -> None:
    answer = closed_site.get(f"/?token={TOKEN}")
    assert answer.status == 200
    cookie = answer.headers["set-cookie"]
    name, value = re.fullmatch(r"(\w+)=(\w+); HttpOnly; Path=/; SameSite=strict", cookie).groups()  # type: ignore[union-attr]
    assert name == COOKIE
    assert TOKEN not in cookie
    assert TOKEN.encode() not in answer.body
    assert b'content="0;url=./"' in answer.body
    assert closed_site.get("/api/v1/about", Cookie=f"other=1; {COOKIE}={value}; more=2").status == 200
    assert closed_site.get("/", Cookie=f"{COOKIE}={value}").body == (STATIC / "index.html").read_bytes()


def test_the_front_door_asks_for_the_token(closed_site: Site) -> None:
    answer = closed_site.get("/")
    assert answer.status == 401
    assert b'name="token"' in answer.body
    wrong = closed_site.get("/?token=wrong")
    assert wrong.status == 401
    assert "set-cookie" not in wrong.headers
    assert b"That was not the token." in wrong.body


def test_only_what_tells_nothing_is_open_to_all(closed_site: Site) -> None:
    assert closed_site.get("/static/style.css").status == 200
    assert closed_site.get("/healthz").status in (200, 503)


def test_tokens_are_compared_in_constant_time(closed_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(given: bytes, wanted: bytes) -> bool:
        compared.append(given)
        return given == wanted

    monkeypatch.setattr("hmac.compare_digest", compare)
    closed_site.get("/api/v1/about", Authorization="Bearer guess")
    closed_site.get("/api/v1/about", Cookie=f"{COOKIE}=guess")
    closed_site.get("/?token=guess")
    assert compared == [b"guess"] * 3


# ---- the page's own files


def files() -> Iterator[Path]:
    yield from STATIC.iterdir()


def test_all_files_of_the_dashboard_together_are_small() -> None:
    assert sum(each.stat().st_size for each in files()) < 60_000


def test_the_page_loads_nothing_from_elsewhere_and_has_nothing_inline() -> None:
    for each in files():
        text = each.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|@import|url\(", text), each.name
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"\son\w+=|\sstyle=|javascript:|<style|<script(?![^>]*\ssrc=)", page)


def test_no_script_makes_markup_from_a_text() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|Function\("
    for each in files():
        assert not re.search(forbidden, each.read_text()), each.name


@pytest.mark.parametrize("name", sorted(each.name for each in files()))
def test_a_file_is_sent_once_and_then_only_confirmed(site: Site, name: str) -> None:
    first = site.get(f"/static/{name}")
    assert first.body == (STATIC / name).read_bytes()
    assert first.headers["cache-control"] == "no-cache"
    again = site.get(f"/static/{name}", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert site.get(f"/static/{name}", If_None_Match='"other"').status == 200
