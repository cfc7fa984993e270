"""The page for Prometheus says what the reading says, by the judgement of Prometheus' own parser."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from meshlens.outputs.metrics import MetricsPage
from meshlens.outputs.metrics_tables import MAX_STATIONS
from meshlens.probes.snapshot import Count
from meshlens.readings.reading import Reading
from tests.readings import GONE, reading
from tests.unit.outputs.snapshots import HOSTILE_IDS

ONE = reading(5)


def samples(reading: Reading) -> list[Sample]:
    page = MetricsPage("1.0").render(reading).decode()
    return [sample for family in text_string_to_metric_families(page) for sample in family.samples]


@pytest.fixture(scope="module")
def page() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Series to value."""
    found = samples(ONE)
    assert len({(each.name, frozenset(each.labels.items())) for each in found}) == len(found)
    return {(each.name, frozenset(each.labels.items())): each.value for each in found}


def key(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


Page = dict[tuple[str, frozenset[tuple[str, str]]], float]


def test_every_filter_is_told_by_interface_and_direction(page: Page) -> None:
    for each in ONE.counts:
        labels = {"filter": each.filter, "interface": each.interface, "direction": str(each.direction)}
        assert page[key("meshlens_filter_packets_total", **labels)] == each.packets
        assert page[key("meshlens_filter_bytes_total", **labels)] == each.bytes


def test_interfaces_are_told_as_node_exporter_does(page: Page) -> None:
    for interface in ONE.interfaces:
        assert page[key("meshlens_interface_up", interface=interface.name)] == 1
        for way, each in zip(("receive", "transmit"), interface.traffic, strict=True):
            name = f"meshlens_interface_{way}"
            assert page[key(f"{name}_packets_total", interface=interface.name)] == each.packets
            assert page[key(f"{name}_bytes_total", interface=interface.name)] == each.bytes
            where = {"interface": interface.name, "direction": each.direction}
            assert (
                page[key("meshlens_interface_cast_packets_total", cast="multicast", **where)]
                == each.multicast
            )
            for kind, (packets, octets) in each.ethertypes.items():
                name = "other" if kind < 0 else f"0x{kind:04x}"
                kinds = {"ethertype": name, **where}
                assert page[key("meshlens_interface_ethertype_packets_total", **kinds)] == packets
                assert page[key("meshlens_interface_ethertype_bytes_total", **kinds)] == octets
    assert page[key("meshlens_interface_speed_bytes", interface="eth0")] == 125_000_000


def test_sizes_are_a_histogram_whose_buckets_include_the_smaller_ones(page: Page) -> None:
    for interface in ONE.interfaces:
        for each in interface.traffic:
            where = {"interface": interface.name, "direction": each.direction}
            name = "meshlens_interface_frame_size_bytes"
            for bound in (127, 1023, 2047):
                smaller = sum(n for bucket, n in enumerate(each.sizes) if 2 ** (bucket + 1) - 1 <= bound)
                assert page[key(f"{name}_bucket", le=str(bound), **where)] == smaller
            assert (
                page[key(f"{name}_bucket", le="+Inf", **where)]
                == page[key(f"{name}_count", **where)]
                == each.packets
            )
            assert page[key(f"{name}_sum", **where)] == each.bytes


def test_stations_are_told_with_name_and_vendor(page: Page) -> None:
    for each in ONE.stations:
        who = {"interface": each.interface, "mac": each.mac, "kind": each.kind}
        assert page[key("meshlens_station_receive_bytes_total", **who)] == each.in_bytes
        assert page[key("meshlens_station_transmit_packets_total", **who)] == each.out_packets
        assert page[key("meshlens_station_cast_packets_total", cast="broadcast", **who)] == each.broadcast
        assert page[key("meshlens_station_last_seen_timestamp_seconds", **who)] == each.last_ns / 1e9
        told = {name: text for name, text in (("name", each.name), ("vendor", each.vendor)) if text}
        assert page[key("meshlens_station_info", **who, **told)] == 1


def test_losses_and_own_costs_are_told(page: Page) -> None:
    for probe, reasons in ONE.missed.items():
        for reason, packets in reasons.items():
            assert page[key("meshlens_missed_packets_total", probe=probe, reason=reason)] == packets
    for each in ONE.costs:
        where = {"probe": each.probe, "interface": each.interface, "direction": each.direction}
        assert page[key("meshlens_program_runs_total", **where)] == each.run_count
        assert page[key("meshlens_program_run_seconds_total", **where)] == each.run_time_ns / 1e9
        assert page[key("meshlens_program_instructions", **where)] == each.instructions
        assert page[key("meshlens_program_memory_bytes", **where)] == each.memory_bytes
    assert 1e6 < page[key("process_resident_memory_bytes")] < 1e10
    assert page[key("process_cpu_seconds_total")] > 0


def test_names_keep_to_the_conventions() -> None:
    for family in text_string_to_metric_families(MetricsPage("1").render(ONE).decode()):
        assert re.fullmatch(r"(meshlens|process)_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total")


def test_flows_that_go_on_and_those_that_ended_are_counted() -> None:
    page = MetricsPage("1")
    for step in range(3):
        page.note(reading(step))
    text = page.render(reading(2)).decode()
    now = sum(int(n) for n in re.findall(r"^meshlens_flows\{.*\} (\d+)$", text, re.MULTILINE))
    ended = sum(
        int(n) for n in re.findall(r"^meshlens_flows_ended_bytes_total\{.*\} (\d+)$", text, re.MULTILINE)
    )
    assert now == len(reading(2).flows)
    assert ended == sum(flow.bytes for step in range(3) for flow in reading(step).ended)


def test_of_many_stations_the_busiest_are_told_and_all_are_counted() -> None:
    many = [
        replace(ONE.stations[0], mac=f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}", in_bytes=n, out_bytes=0)
        for n in range(MAX_STATIONS + 50)
    ]
    found = samples(Reading(0, stations=tuple(many)))
    told = [each.value for each in found if each.name == "meshlens_station_receive_bytes_total"]
    assert sorted(told) == list(range(50, MAX_STATIONS + 50))
    assert sum(each.value for each in found if each.name == "meshlens_stations") == MAX_STATIONS + 50


def test_an_interface_that_comes_and_goes_and_a_new_list_make_no_stale_or_double_series() -> None:
    page = MetricsPage("1")
    other = tuple(replace(each, filter="x" + each.filter) for each in ONE.counts[:50])
    for each in (ONE, reading(GONE[0]), replace(ONE, counts=other), ONE):
        lines = page.render(each).decode().splitlines()
        names = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
        assert len(names) == len(set(names))
        assert sum(name.startswith("meshlens_filter_packets") for name in names) == len(each.counts)
    assert page.render(ONE).count(b"\n") == MetricsPage("1").render(ONE).count(b"\n")


@given(st.lists(HOSTILE_IDS, unique=True, min_size=1, max_size=5))
def test_any_id_can_be_parsed_and_is_a_series_of_its_own(ids: list[str]) -> None:
    counts = tuple(Count(each, "eth0", "in", number, 0) for number, each in enumerate(ids))
    found = [s for s in samples(Reading(0, counts=counts)) if s.name == "meshlens_filter_packets_total"]
    assert sorted(each.value for each in found) == list(range(len(ids)))
    assert len({frozenset(each.labels.items()) for each in found}) == len(ids)


def test_an_empty_reading_is_a_page_too() -> None:
    assert {each.name for each in samples(Reading(0))} >= {"meshlens_build_info", "process_cpu_seconds_total"}
