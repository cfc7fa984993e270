"""Draw top.svg: what `meshlens top -i wlan0` shows of the traffic of the recipe about airtime.

PYTHONPATH=. .venv/bin/python docs/img/top.py   (as root; the figures are those of the run)
"""

import asyncio
from pathlib import Path

from meshlens.cli.top_app import TopApp
from meshlens.cli.top_pages import Pages
from meshlens.readings.session import monitor
from tools.recipe_traffic import playing, wlan

SECONDS = 40


async def draw(source) -> str:
    pages = Pages()
    pages.take(source.read())
    app = TopApp(source, pages, 1)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await pilot.pause(SECONDS)
        svg = app.export_screenshot(title="meshlens top -i wlan0")
    app.end_reading()
    return svg


with playing(wlan()) as namespace, namespace.inside():
    with monitor("wlan0") as source:
        (Path(__file__).parent / "top.svg").write_text(asyncio.run(draw(source)))
