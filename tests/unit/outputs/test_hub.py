"""Readings go to everybody who asks, and wait for nobody."""

import asyncio
import threading

import pytest

from meshlens.errors import UsageError
from meshlens.outputs.history.series import History
from meshlens.outputs.hub import Hub
from meshlens.readings.rates import Rates, rates
from meshlens.readings.reading import Reading
from tests.readings import reading


def small(number: int) -> Reading:
    return Reading(number)


def test_the_latest_reading_and_the_rates_between_the_last_two() -> None:
    hub = Hub(1)
    assert hub.latest() is None
    assert hub.rates() == Rates()
    hub.publish(reading(1))
    hub.publish(reading(2))
    hub.publish(reading(3))
    assert hub.latest() == reading(3)
    assert hub.rates() == rates(reading(2), reading(3))


def test_a_subscriber_gets_every_reading_from_the_next_on_until_the_end() -> None:
    hub = Hub(1)
    hub.publish(small(1))

    async def listen() -> list[int]:
        got = []
        async for each in hub.subscribe():
            got.append(each.time_ns)
            if len(got) < 4:
                hub.publish(small(len(got) + 2))
            else:
                hub.close()
        return got

    async def run() -> list[int]:
        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        hub.publish(small(2))
        return await listening

    assert asyncio.run(run()) == [2, 3, 4, 5]


def test_a_slow_subscriber_misses_readings_and_holds_up_nobody() -> None:
    hub = Hub(1)

    async def run() -> tuple[int, int]:
        stream = hub.subscribe()
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        hub.publish(small(1))
        one = (await first).time_ns
        for number in range(2, 1000):  # while it does something else
            hub.publish(small(number))
        two = (await anext(stream)).time_ns
        await stream.aclose()  # type: ignore[attr-defined]
        assert not hub._bells
        return one, two

    assert asyncio.run(run()) == (1, 999)


def test_readings_come_from_another_thread_and_closing_wakes_who_waits() -> None:
    hub = Hub(1)

    async def listen() -> list[int]:
        return [each.time_ns async for each in hub.subscribe()]

    async def run() -> list[int]:
        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        publisher = threading.Thread(target=hub.publish, args=(small(7),))
        publisher.start()
        await asyncio.to_thread(publisher.join)
        await asyncio.sleep(0.01)
        closer = threading.Thread(target=hub.close)
        closer.start()
        return await asyncio.wait_for(listening, 5)

    assert asyncio.run(run()) == [7]


def test_a_client_whose_event_loop_is_gone_disturbs_nobody() -> None:
    hub = Hub(1)
    loop = asyncio.new_event_loop()

    async def listen() -> None:
        async for _ in hub.subscribe():
            pass

    waiting = loop.create_task(listen())
    loop.run_until_complete(asyncio.sleep(0))
    assert hub._bells
    waiting.cancel()
    loop.close()
    hub.publish(small(1))
    assert hub.latest() == small(1)
    assert not hub._bells


def test_the_metrics_are_made_once_a_reading() -> None:
    hub = Hub(1, version="9.9")
    assert b'meshlens_build_info{version="9.9"} 1' in hub.metrics()
    hub.publish(reading(1))
    page = hub.metrics()
    assert hub.metrics() is page
    assert b"meshlens_interface_receive_bytes_total" in page
    hub.publish(reading(2))
    assert hub.metrics() != page


def test_flows_that_ended_in_readings_nobody_asked_about_are_in_the_metrics() -> None:
    hub = Hub(1)
    ended = 0
    for step in range(1, 30):
        hub.publish(reading(step))
        ended += len(reading(step).ended)
    lines = [
        each for each in hub.metrics().decode().splitlines() if each.startswith("meshlens_flows_ended_total")
    ]
    assert sum(int(each.rpartition(" ")[2]) for each in lines) == ended > 0


def test_history_is_asked_where_it_is_kept_and_refused_where_not() -> None:
    def query(kind: str, **arguments: object) -> History:
        assert (kind, arguments["top"]) == ("stations", 3)
        return History(10, (), ())

    kept = Hub(1, query=query)
    assert kept.keeps_history
    assert kept.history("stations", since_ns=0, until_ns=1, step_s=10, top=3) == History(10, (), ())
    none = Hub(1)
    assert not none.keeps_history
    with pytest.raises(UsageError, match="no history is kept"):
        none.history("stations", since_ns=0, until_ns=1, step_s=10)
