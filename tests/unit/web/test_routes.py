"""What is answered at each address, asked over HTTP."""

import dataclasses
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from meshlens.errors import UsageError
from meshlens.probes.cost import ProbeCost
from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count
from meshlens.probes.stations.record import Station
from meshlens.probes.traffic.record import InterfaceTraffic
from meshlens.readings.rates import Rates, rates
from meshlens.readings.reading import Reading
from meshlens.web.app import create_app
from meshlens.web.query import select
from meshlens.web.tables import TABLES as TABLES_OF_ROWS
from tests.readings import FLAPPING, INTERFACES, STATIONS, reading
from tests.unit.web.conftest import Site
from tests.web_site import FakeHub, serving

NOW = reading(50)
RECORDS: dict[str, tuple[type, tuple[Any, ...]]] = {
    "interfaces": (InterfaceTraffic, NOW.interfaces),
    "stations": (Station, NOW.stations),
    "flows": (Flow, NOW.flows),
    "counts": (Count, NOW.counts),
    "costs": (ProbeCost, NOW.costs),
}
TABLES = [*RECORDS, "missed"]
DOCUMENTED = Path(__file__).parents[3] / "docs" / "http-api.md"


@pytest.mark.parametrize("table", RECORDS)
def test_a_table_has_a_row_a_record_with_all_its_fields(site: Site, table: str) -> None:
    kind, records = RECORDS[table]
    answer = site.get(f"/api/v1/{table}?limit=10000").json
    assert answer["time_ns"] == NOW.time_ns
    assert answer["total"] == len(answer["rows"]) == len(records)
    assert {field.name for field in dataclasses.fields(kind)} <= set(answer["rows"][0])


def test_a_row_says_what_its_record_says(site: Site) -> None:
    station = next(each for each in NOW.stations if each.dhcp and each.packets)
    row = site.get(f"/api/v1/stations?mac={station.mac}").json["rows"][0]
    assert row["in_packets"] == station.in_packets
    assert row["bytes"] == station.bytes
    assert row["seen"] == sorted(station.seen)
    assert station.dhcp is not None
    assert row["dhcp"]["hostname"] == station.dhcp.hostname
    assert row["locally_administered"] == station.locally_administered


def test_rates_stand_beside_the_counters(site: Site) -> None:
    truth = rates(reading(40), NOW)
    for row in site.get("/api/v1/interfaces").json["rows"]:
        for traffic in row["traffic"]:
            rate = truth.interfaces[row["name"], traffic["direction"]]  # type: ignore[index]
            assert traffic["bytes_per_s"] == pytest.approx(rate.bytes, abs=0.001)
    assert any(rate.bytes for rate in truth.interfaces.values())


def test_the_reading_is_all_tables_whole(site: Site) -> None:
    answer = site.get("/api/v1/reading").json
    assert set(answer) == {"time_ns", "seconds", *TABLES, "wifi", "transmitters", "verdicts"}
    assert len(answer["counts"]) == len(NOW.counts)
    assert answer["seconds"] == 10


def test_missed_is_told_by_probe_and_reason(site: Site) -> None:
    rows = site.get("/api/v1/missed").json["rows"]
    assert {(row["probe"], row["reason"]): row["packets"] for row in rows} == {
        (probe, reason): packets
        for probe, reasons in NOW.missed.items()
        for reason, packets in reasons.items()
    }


def test_a_value_keeps_the_rows_that_have_it_and_two_values_those_of_either(site: Site) -> None:
    one = site.get(f"/api/v1/stations?interface={INTERFACES[0]}&limit=1000").json
    assert {row["interface"] for row in one["rows"]} == {INTERFACES[0]}
    two = site.get(f"/api/v1/stations?interface={INTERFACES[0]}&interface={FLAPPING}&limit=1000").json
    other = site.get(f"/api/v1/stations?interface={FLAPPING}&limit=1000").json
    assert two["total"] == one["total"] + other["total"] < STATIONS
    assert site.get("/api/v1/stations?interface=none").json == {
        "time_ns": NOW.time_ns,
        "total": 0,
        "rows": [],
    }
    assert site.get("/api/v1/stations?locally_administered=true").json["total"] == len(
        [each for each in NOW.stations if each.locally_administered]
    )


def test_a_text_is_sought_in_all_values_whatever_its_case(site: Site) -> None:
    rows = site.get("/api/v1/stations?q=EsPreSSif&limit=1000").json["rows"]
    assert len(rows) == sum("Espressif" in each.vendor for each in NOW.stations)


@pytest.mark.parametrize("order", ["bytes", "-bytes", "mac", "-vendor"])
def test_rows_stand_in_the_order_that_is_asked_for(site: Site, order: str) -> None:
    rows = site.get(f"/api/v1/stations?sort={order}&limit=1000").json["rows"]
    values = [row[order.removeprefix("-")] for row in rows]
    assert values == sorted(values, reverse=order.startswith("-"))
    assert len(set(values)) > 1


def test_a_field_that_is_not_always_there_can_be_sorted_by(site: Site) -> None:
    rows = site.get("/api/v1/interfaces?sort=-speed_bps").json["rows"]
    assert [row["speed_bps"] for row in rows] == [1_000_000_000, *[None] * (len(rows) - 1)]


def test_limit_and_offset_cut_and_total_tells_of_the_rest(site: Site) -> None:
    every = site.get("/api/v1/stations?sort=mac&limit=1000").json["rows"]
    part = site.get("/api/v1/stations?sort=mac&limit=7&offset=10").json
    assert part["rows"] == every[10:17]
    assert part["total"] == STATIONS
    assert len(site.get("/api/v1/counts").json["rows"]) == 100


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("stations?colour=red", "unknown parameter 'colour'"),
        ("stations?dhcp=x", "unknown parameter 'dhcp'"),
        ("stations?sort=colour", "sort=colour: no such field"),
        ("stations?sort=dhcp", "sort=dhcp: no such field"),
        ("stations?limit=many", "limit=many: a number from 1 to 10000"),
        ("stations?limit=0", "limit=0: a number from 1 to 10000"),
        ("stations?limit=10001", "limit=10001"),
        ("stations?offset=-1", "offset=-1"),
        ("reading?limit=1", "unknown parameter 'limit'"),
        ("recent?by=colour", "by=colour: there are bytes, packets"),
        ("events?top=0", "top=0: a number from 1 to 100"),
        ("events?topp=3", "unknown parameter 'topp'"),
        ("events?" + "&".join(f"watch={at}" for at in range(17)), "watch: 17 names; at most 16"),
        ("history?kind=colours", "kind=colours: there are interfaces"),
        ("history?range_s=nan", "range_s=nan: a number from"),
        ("history?points=1", "points=1"),
        ("history?until=inf", "until=inf"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_words_that_can(site: Site, path: str, problem: str) -> None:
    answer = site.get(f"/api/v1/{path}")
    assert answer.status == 400
    assert answer.json["error"].startswith(problem)


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/static/nothing", "/static/..%2fapp.py"])
def test_where_nothing_is_the_answer_says_so(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.status == 404
    assert answer.json["error"].startswith("there is nothing at")


def test_history_is_asked_for_the_span_in_steps(site: Site) -> None:
    answer = site.get("/api/v1/history?kind=stations&range_s=3600&until=7200&points=60&name=a&name=b&top=3")
    asked = site.hub.asked[-1]
    assert asked == {
        "kind": "stations", "since_ns": 3600 * 10**9, "until_ns": 7200 * 10**9, "step_s": 60.0,
        "names": ["a", "b"], "top": 3,
    }  # fmt: skip
    assert answer.json["times"] == [3600.0 + 60 * at for at in range(60)]
    assert answer.json["step_s"] == 60
    up, half = answer.json["series"]
    assert up["bytes_per_s"][:3] == [0, 1000, 2000]
    assert half["direction"] == "out"
    assert half["packets_per_s"][-1] is None


def test_history_of_an_interface_is_what_was_seen_there(site: Site) -> None:
    assert site.get("/api/v1/history?interface=bat0").json["series"]
    assert site.get("/api/v1/history?interface=eth0").json["series"] == []


def test_a_step_of_history_is_never_shorter_than_the_interval(site: Site) -> None:
    site.get("/api/v1/history?range_s=60&points=2000")
    assert site.hub.asked[-1]["step_s"] == site.hub.interval_s


def test_metrics_are_the_hub_s_page(site: Site) -> None:
    answer = site.get("/metrics")
    assert answer.body == site.hub.metrics()
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_before_the_first_reading_one_is_told_to_wait() -> None:
    hub = FakeHub()
    with serving(create_app(hub), hub) as port:
        site = Site(hub, port)
        for table in TABLES:
            assert site.get(f"/api/v1/{table}").status == 503
        assert site.get("/healthz").json == {"status": "stale", "age_s": None}
        assert site.get("/api/v1/recent").json == []


def test_the_daemon_is_well_while_readings_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub(NOW)
    with serving(create_app(hub), hub) as port:
        site = Site(hub, port)
        monkeypatch.setattr("time.time_ns", lambda: NOW.time_ns + 2 * 10**9)
        assert site.get("/healthz").json == {"status": "ok", "age_s": 2.0}
        monkeypatch.setattr("time.time_ns", lambda: NOW.time_ns + 6 * 10**9)
        answer = site.get("/healthz")
        assert (answer.status, answer.json["status"]) == (503, "stale")


def test_large_answers_are_packed_for_who_takes_that(site: Site) -> None:
    packed = site.get("/api/v1/reading", Accept_Encoding="gzip")
    plain = site.get("/api/v1/reading")
    assert packed.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.body)) == plain.json
    assert len(packed.body) < len(plain.body) / 5


def test_who_excludes_gzip_gets_none(site: Site) -> None:
    for accepted in ("gzip;q=0", "br, gzip; q=0.0, *", "identity"):
        assert "content-encoding" not in site.get("/api/v1/reading", Accept_Encoding=accepted).headers
    assert site.get("/static/app.js", Accept_Encoding="br, gzip;q=0.5").headers["content-encoding"] == "gzip"


def test_an_id_that_is_no_utf8_is_told_nevertheless() -> None:
    odd = "bad \udcff\x00 \u202e \u2028"
    hub = FakeHub(Reading(1))
    with serving(create_app(hub), hub) as port:
        hub.push(Reading(20 * 10**9, counts=(Count(odd, "eth0", "in", 5, 300),)))
        site = Site(hub, port)
        assert site.get("/api/v1/counts").json["rows"][0]["filter"] == odd
        assert site.get("/api/v1/reading").json["counts"][0]["filter"] == odd
        assert site.get("/api/v1/counts?q=bad").json["total"] == 1


WORDS = "q sort limit offset mac dhcp name seen -bytes true 0 -1".split()
words = st.sampled_from(WORDS)


@given(st.lists(st.tuples(words | st.text(max_size=5), words | st.text(max_size=5)), max_size=4))
def test_no_question_is_too_odd_for_an_answer(pairs: list[tuple[str, str]]) -> None:
    rows = list(TABLES_OF_ROWS["stations"].rows(NOW, Rates()))
    try:
        total, found = select(rows, QueryParams(pairs), "-bytes_per_s")
    except UsageError:
        return
    assert len(found) <= total <= len(rows)


def test_an_error_of_ours_is_json_with_the_headers_of_all_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub(NOW)
    monkeypatch.setattr(hub, "metrics", lambda: 1 // 0)
    with serving(create_app(hub), hub) as port:
        answer = Site(hub, port).get("/metrics")
    assert answer.status == 500
    assert answer.json == {"error": "internal error: ZeroDivisionError"}
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_every_field_of_every_answer_is_in_the_documentation(site: Site) -> None:
    text = DOCUMENTED.read_text()
    sections = dict(re.findall(r"^## `?(?:GET )?(\S+?)`?$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for table in TABLES:
        row = site.get(f"/api/v1/{table}?limit=1").json["rows"][0]
        listed = set(re.findall(r"`([a-z0-9_]+)`", sections[f"/api/v1/{table}"]))
        assert set(row) <= listed, f"{table}: not in docs/http-api.md"
    tick = site.get("/api/v1/recent").json[0]
    assert set(tick) <= set(re.findall(r"`([a-z0-9_]+)`", sections["/api/v1/events"]))
    about = site.get("/api/v1/about").json
    assert set(about) <= set(re.findall(r"`([a-z0-9_]+)`", sections["/api/v1/about"]))
