"""A headless Chromium of its own profile, as Debian packages it, driven by selenium."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, Literal, TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

__all__ = ["Browser", "chromium", "missing"]

T = TypeVar("T")


def missing() -> str:
    """What is not installed; nothing if all is there."""
    programs = {"chromium", "chromedriver"}
    return " and ".join(sorted(each for each in programs if not shutil.which(each)))


class Browser:
    """One page at a time, and what the browser had to say about it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(
        self,
        address: str,
        *,
        width: int = 1280,
        height: int = 900,
        scale: float = 1,
        scheme: Literal["dark", "light"] = "dark",
    ) -> None:
        """Load a page in a window of this size (CSS pixels) whose user likes these colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self._driver.get(address)

    def run(self, script: str, *args: object) -> Any:
        """The value of `script`, the body of a function."""
        return self._driver.execute_script(script, *args)

    def text(self, selector: str) -> str:
        """What a reader sees there; nothing if it is hidden."""
        seen = (
            "const e = document.querySelector(arguments[0]); return e?.checkVisibility() ? e.innerText : ''"
        )
        return str(self.run(seen, selector))

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def point(self, selector: str, x: float, y: float) -> None:
        """Move the mouse over an element, to these shares of its width and height."""
        box = self.run(
            "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [b.left + b.width * arguments[1], b.top + b.height * arguments[2]]",
            selector, x, y,
        )  # fmt: skip
        event = {"type": "mouseMoved", "x": box[0], "y": box[1]}
        self._driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def wait(self, what: str, condition: Callable[[], T], seconds: float = 20) -> T:
        """The first true value of `condition()`."""
        deadline = monotonic() + seconds
        while not (value := condition()):
            assert monotonic() < deadline, (
                f"in {seconds:g} s there was no {what}; the log: {self.complaints()}"
            )
            sleep(0.05)
        return value

    def complaints(self) -> list[str]:
        """What the console got since the last call: errors, warnings, reports about the CSP."""
        return [str(entry["message"]) for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return bytes(self._driver.get_screenshot_as_png())

    def cookies(self) -> list[dict[str, Any]]:
        return list(self._driver.get_cookies())


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that knows nothing from before and keeps nothing."""
    with TemporaryDirectory(prefix="chromium-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",  # it refuses to run as root with one
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--force-device-scale-factor=1",
            f"--user-data-dir={Path(profile) / 'profile'}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver") or ""))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
