#!/usr/bin/env python3
"""Take the pictures of the dashboard that the documentation shows, in a headless Chromium: docs/img/*.png.

Needs chromium, chromedriver and what `pip install -e .[test]` brings. The traffic is made up.
"""

import socket
import sys
import time
from pathlib import Path

from meshlens.web.app import create_app
from tests.browser import Browser, chromium, missing
from tests.gateway import Gateway
from tests.web_site import FakeHub, serving

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "img"
#: 2026-11-23 19:30 UTC
EVENING_NS = 1_795_462_200_000_000_000
SECONDS = 180


def main() -> int:
    """Take all pictures."""
    if lacking := missing():
        print(f"screenshots: {lacking} is not installed (Debian: apt install chromium chromium-driver)")
        return 1
    socket.gethostname = lambda: "gateway-17"
    gateway = Gateway(start_ns=EVENING_NS)
    hub = FakeHub(gateway.step())
    hub.keeps_history = False
    with serving(create_app(hub), hub) as port, chromium() as browser:
        page = f"http://localhost:{port}/"
        browser.open(page)
        for _ in range(SECONDS):
            hub.push(gateway.step())
            time.sleep(0.06)
        browser.wait("station", lambda: browser.text("#stations"))
        browser.open(page, width=1280, height=1160)
        settle(browser)
        browser.point("#chart", 0.8, 0.4)
        save(browser, "dashboard-dark.png")
        browser.open(page, width=1280, height=1160, scheme="light")
        settle(browser)
        browser.click("input[value=filters]")
        save(browser, "dashboard-light.png")
        browser.open(page, width=375, height=812, scale=2)
        settle(browser)
        save(browser, "dashboard-phone.png")
    return 0


def settle(browser: Browser) -> None:
    """Wait until everything is drawn."""
    browser.wait(
        "chart", lambda: browser.text("#legend") and browser.text("#flows") and browser.text("#costs")
    )


def save(browser: Browser, name: str) -> None:
    """Write the window to the documentation's folder."""
    time.sleep(0.5)
    (IMAGES / name).write_bytes(browser.screenshot())
    print(IMAGES / name)


if __name__ == "__main__":
    sys.exit(main())
