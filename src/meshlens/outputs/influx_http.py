"""Posts readings to an InfluxDB by HTTP."""

import urllib.error
import urllib.request
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import Final

from meshlens.errors import MeshlensError
from meshlens.outputs.influx import format_influx
from meshlens.readings.reading import Reading

__all__ = ["HttpInflux"]

_HTTP_TIMEOUT_S: Final = 5.0
#: Readings that wait for a slow InfluxDB.
_WAITING: Final = 8


class HttpInflux:
    """Posts the line protocol to an InfluxDB; a slow one holds up nobody.

    `url` is that of its write API, as in `http://localhost:8086/api/v2/write?org=o&bucket=b&precision=ns`.
    What could not be posted is said by the next `write`.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url, self._headers = url, {"Content-Type": "text/plain; charset=utf-8"}
        if token:
            self._headers["Authorization"] = f"Token {token}"
        self._queue: Queue[bytes | None] = Queue(_WAITING)
        self._failure = ""
        self._thread = Thread(target=self._post_all, daemon=True, name="meshlens-influx")
        self._thread.start()

    def write(self, reading: Reading) -> None:
        failure, self._failure = self._failure, ""
        try:
            self._queue.put_nowait(format_influx(reading).encode(errors="replace"))
        except Full:
            raise MeshlensError(f"{self.url} is too slow: a reading is left out") from None
        if failure:
            raise MeshlensError(failure)

    def close(self) -> None:
        """Wait for what is under way, no longer than a post may take."""
        with suppress(Full):
            self._queue.put(None, timeout=_HTTP_TIMEOUT_S)
            self._thread.join(_HTTP_TIMEOUT_S)

    def _post_all(self) -> None:
        while (body := self._queue.get()) is not None:
            request = urllib.request.Request(self.url, body, self._headers)  # noqa: S310  (the admin's own)
            try:
                with urllib.request.urlopen(request, timeout=_HTTP_TIMEOUT_S):  # noqa: S310
                    pass
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read(200).decode(errors="replace").strip()
                self._failure = f"{self.url} refused a reading: {error.code} {said}"
            except (OSError, ValueError) as error:
                self._failure = f"cannot post to {self.url}: {error}"
