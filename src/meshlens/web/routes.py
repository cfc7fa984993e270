"""What is answered at each address."""

import re
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final, get_args

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from meshlens.errors import UsageError
from meshlens.readings.reading import Reading
from meshlens.web.answers import json_answer, packed_answer
from meshlens.web.assets import asset_response, assets
from meshlens.web.events import VIEWERS_MAX, EventStream
from meshlens.web.hub import HistoryKind, Hub
from meshlens.web.live import Live, View
from meshlens.web.query import number, one_of, only, select
from meshlens.web.tables import TABLES, Table, whole
from meshlens.web.tick import By

__all__ = ["METRICS_TYPE", "routes"]

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_TOP_DEFAULT, _TOP_MAX, _WATCH_MAX = 20, 100, 16
_YEAR_S: Final = 366 * 86_400.0
#: A reading that is older than so many intervals, and this many seconds, says that the daemon hangs.
_STALE_INTERVALS, _STALE_S = 3, 5.0

Answer = Callable[[Request], Response]


def routes(hub: Hub, live: Live) -> list[Route]:
    """The addresses; functions that are not `async` are called in threads."""
    return [
        Route("/", _page),
        Route("/static/{name}", _static),
        Route("/healthz", _health(hub)),
        Route("/metrics", lambda request: packed_answer(request, hub.metrics(), METRICS_TYPE)),
        Route("/api/v1/about", _about(hub)),
        Route("/api/v1/reading", _reading(hub, live)),
        *(Route(f"/api/v1/{name}", _table(table, hub, live)) for name, table in TABLES.items()),
        Route("/api/v1/history", _history(hub)),
        Route("/api/v1/recent", _recent(live)),
        Route("/api/v1/events", _events(live)),
    ]


def _page(request: Request) -> Response:
    return asset_response(request, assets()["index.html"])


def _static(request: Request) -> Response:
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return asset_response(request, asset)


def _health(hub: Hub) -> Answer:
    def answer(request: Request) -> Response:
        reading = hub.latest()
        age_s = (time.time_ns() - reading.time_ns) / 1e9 if reading else None
        well = age_s is not None and age_s <= max(_STALE_S, _STALE_INTERVALS * hub.interval_s)
        body = {"status": "ok" if well else "stale", "age_s": age_s and round(age_s, 3)}
        return json_answer(request, body, 200 if well else 503)

    return answer


def _about(hub: Hub) -> Answer:
    def answer(request: Request) -> Response:
        only(request.query_params, ())
        return json_answer(
            request,
            {"host": socket.gethostname(), "interval_s": hub.interval_s, "keeps_history": hub.keeps_history},
        )

    return answer


def _now(hub: Hub) -> Reading:
    reading = hub.latest()
    if reading is None:
        raise HTTPException(503, "there is no reading yet: ask again in a moment")
    return reading


def _reading(hub: Hub, live: Live) -> Answer:
    def answer(request: Request) -> Response:
        only(request.query_params, ())
        return json_answer(request, whole(_now(hub), live.rates))

    return answer


def _table(table: Table, hub: Hub, live: Live) -> Answer:
    def answer(request: Request) -> Response:
        reading = _now(hub)
        rows = list(table.rows(reading, live.rates))
        total, found = select(rows, request.query_params, table.order)
        return json_answer(request, {"time_ns": reading.time_ns, "total": total, "rows": found})

    return answer


def _history(hub: Hub) -> Answer:
    def answer(request: Request) -> Response:
        params = request.query_params
        only(params, ("kind", "range_s", "until", "points", "name", "interface", "top"))
        kind: HistoryKind = one_of(params, "kind", get_args(HistoryKind))
        range_s = number(params, "range_s", float, 3600.0, 60.0, _YEAR_S)
        until_s = number(params, "until", float, time.time(), 0.0, 1e11)
        points = number(params, "points", int, 240, 2, 2000)
        top = number(params, "top", int, 8, 1, _TOP_MAX)
        interface = params.get("interface", "")
        history = hub.history(
            kind,
            since_ns=int((until_s - range_s) * 1e9),
            until_ns=int(until_s * 1e9),
            step_s=max(hub.interval_s, range_s / points),
            names=params.getlist("name"),
            top=_TOP_MAX if interface else top,
        )
        series = [each for each in history.series if interface in ("", each.interface)]
        first = list(dict.fromkeys((each.name, each.interface) for each in series))[:top]
        return json_answer(
            request,
            {
                "step_s": history.step_s,
                "times": [time_ns / 1e9 for time_ns in history.times_ns],
                "series": [asdict(each) for each in series if (each.name, each.interface) in first],
            },
        )

    return answer


def _recent(live: Live) -> Answer:
    def answer(request: Request) -> Response:
        params = request.query_params
        only(params, ("interface", "by"))
        return json_answer(request, live.past.events(params.get("interface", ""), _by(params)))

    return answer


def _events(live: Live) -> Callable[[Request], object]:
    async def answer(request: Request) -> ASGIApp:
        params = request.query_params
        only(params, ("interface", "top", "by", "watch"))
        top = number(params, "top", int, _TOP_DEFAULT, 1, _TOP_MAX)
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if live.viewers >= VIEWERS_MAX:
            retry = {"Retry-After": "10"}
            raise HTTPException(503, f"{VIEWERS_MAX} viewers are watching already", retry)
        last_id = request.headers.get("last-event-id", "")
        known_id = int(last_id) if re.fullmatch(r"[0-9]{1,19}", last_id) else None
        watch = frozenset(params.getlist("watch"))
        if len(watch) > _WATCH_MAX:
            raise UsageError(f"watch: {len(watch)} names; at most {_WATCH_MAX} can be watched")
        view = View(params.get("interface", ""), top, _by(params), watch)
        return EventStream(live, view, known_id)

    return answer


def _by(params: QueryParams) -> By:
    by: By = one_of(params, "by", ("bytes", "packets"))
    return by
