"""Server-sent events (HTML Living Standard, 9.2): a viewer's stream of ticks."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Receive, Scope, Send

from meshlens.web.live import Live, View

__all__ = ["HEARTBEAT_S", "VIEWERS_MAX", "EventStream"]

#: Streams at once: each is a connection, and some kilobytes with every reading.
VIEWERS_MAX: Final = 32
#: After so much silence a comment tells both ends that the other is still there.
HEARTBEAT_S: Final = 15.0
#: Who has not taken an event for so long is not there any more.
_STALLED_S: Final = 30.0
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events
]


class EventStream:
    """An ASGI response: what was missed since `last_id` as one `recent` event, then every new tick.

    An event's id is the time of its reading in nanoseconds. Who is slow skips ticks: the one that is sent is
    the newest.
    """

    def __init__(self, live: Live, view: View, last_id: int | None) -> None:
        self._live = live
        self._view = view
        self._last_id = last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the viewer goes or the daemon ends."""
        self._live.viewers += 1
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async for event in self._events(gone):
                async with asyncio.timeout(_STALLED_S):
                    await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return  # the server closes what is not complete
        finally:
            gone.cancel()
            self._live.viewers -= 1

    async def _events(self, gone: asyncio.Future[None]) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        if self._last_id is not None and self._live.past.knows(self._last_id):
            missed = self._live.past.events(self._view.interface, self._view.by, self._last_id)
            yield f"event: recent\ndata: {json.dumps(missed, separators=(',', ':'))}\n\n"
        sent = None
        while not gone.done():
            tick = self._live.latest()
            if tick is not sent and tick is not None:
                data = self._live.latest_json(self._view)
                yield f"id: {tick.time_ns}\ndata: {data}\n\n"
                sent = tick
            elif self._live.ended:
                return
            elif not await self._wait(gone):
                yield ": still here\n\n"

    async def _wait(self, gone: asyncio.Future[None]) -> bool:
        """Wait for a tick, or the viewer's end; False if there was neither for long."""
        change = asyncio.ensure_future(self._live.changed())
        done, _ = await asyncio.wait({change, gone}, timeout=HEARTBEAT_S, return_when="FIRST_COMPLETED")
        change.cancel()
        return bool(done)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
