"""A dashboard over made-up readings, served on the loopback interface."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from meshlens.readings.reading import Reading
from meshlens.web import History, HistoryKind, Series

__all__ = ["FakeHub", "serving"]


class FakeHub:
    """A hub that knows the readings it is given, by any thread."""

    keeps_history = True
    interval_s = 1.0

    def __init__(self, *readings: Reading) -> None:
        self._readings = list(readings)
        self._closed = False
        self.asked: list[dict[str, object]] = []

    def push(self, reading: Reading) -> None:
        self._readings.append(reading)

    def close(self) -> None:
        self._closed = True

    def latest(self) -> Reading | None:
        return self._readings[-1] if self._readings else None

    async def subscribe(self) -> AsyncIterator[Reading]:
        given = len(self._readings)
        while not self._closed:
            for reading in self._readings[given:]:
                given += 1
                yield reading
            await asyncio.sleep(0.01)

    def history(
        self,
        kind: HistoryKind,
        *,
        since_ns: int,
        until_ns: int,
        step_s: float,
        names: Collection[str] = (),
        top: int = 8,
    ) -> History:
        """Two series: one that climbs, one that is not there in its second half."""
        asked = {"kind": kind, "since_ns": since_ns, "until_ns": until_ns, "step_s": step_s}
        self.asked.append({**asked, "names": names, "top": top})
        times = tuple(range(since_ns, until_ns, int(step_s * 1e9)))
        climbing = tuple(float(at) for at in range(len(times)))
        half = tuple(100.0 if at < len(times) // 2 else None for at in range(len(times)))
        return History(
            step_s,
            times,
            (
                Series("bat0", "bat0", "in", climbing, tuple(1000 * each for each in climbing)),
                Series("bat0", "bat0", "out", half, half),
            ),
        )

    def metrics(self) -> bytes:
        return b"# TYPE meshlens_made_up gauge\nmeshlens_made_up 1\n"


@contextmanager
def serving(app: Starlette, hub: FakeHub, *, port: int = 0) -> Iterator[int]:
    """Serve the app in a thread, yield its port."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, name="web site")
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        hub.close()
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
