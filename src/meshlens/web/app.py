"""The HTTP side of `meshlens serve` as an ASGI application; docs/http-api.md describes every address."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from meshlens.errors import MeshlensError
from meshlens.web.answers import json_answer
from meshlens.web.guard import HEADERS, Guard
from meshlens.web.hub import Hub
from meshlens.web.live import Live
from meshlens.web.routes import routes

__all__ = ["create_app"]

_log = logging.getLogger(__name__)


def create_app(hub: Hub, *, token: str | None = None, hosts: Iterable[str] = ()) -> Starlette:
    """The application over `hub`. With a token, only who knows it is answered.

    It may be asked for by address, as "localhost", and by the names in `hosts`. Event streams end when
    `hub.subscribe()` does; until then a server that shuts down has to cut them off.
    """
    live = Live(hub)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        following = asyncio.create_task(_follow(live))
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    return Starlette(
        routes=routes(hub, live),
        middleware=[Middleware(Guard, token=token, hosts=hosts)],
        exception_handlers={HTTPException: _no_page, MeshlensError: _refused, Exception: _our_fault},
        lifespan=lifespan,
    )


async def _follow(live: Live) -> None:
    try:
        await live.run()
    except Exception:
        _log.exception("live rates ended")
        raise


def _no_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    found = error.status_code != 404
    problem = error.detail if found else f"there is nothing at {request.url.path}"
    return json_answer(request, {"error": problem}, error.status_code, error.headers)


def _refused(request: Request, error: Exception) -> Response:
    """What was asked cannot be answered, and the error says why."""
    return json_answer(request, {"error": str(error)}, 400)


def _our_fault(request: Request, error: Exception) -> Response:
    """This one is answered outside of all middleware; the server logs the error itself."""
    return json_answer(request, {"error": f"internal error: {type(error).__name__}"}, 500, HEADERS)
