"""doctor against bpftool, which tries the same kernel in its own way."""

import json
import shutil
import subprocess
import sys

import pytest

SAME = {
    "program: sched_cls (tc)": ("program_types", "have_sched_cls_prog_type"),
    "program: xdp": ("program_types", "have_xdp_prog_type"),
    "program: socket filter": ("program_types", "have_socket_filter_prog_type"),
    "program: raw tracepoint": ("program_types", "have_raw_tracepoint_prog_type"),
    "map: array": ("map_types", "have_array_map_type"),
    "map: per-CPU array": ("map_types", "have_percpu_array_map_type"),
    "map: hash": ("map_types", "have_hash_map_type"),
    "map: LRU hash": ("map_types", "have_lru_hash_map_type"),
    "map: program array": ("map_types", "have_prog_array_map_type"),
    "map: ring buffer": ("map_types", "have_ringbuf_map_type"),
}


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("bpftool"), reason="needs bpftool")
def test_doctor_and_bpftool_agree_about_this_kernel() -> None:
    doctor = subprocess.run(
        [sys.executable, "-m", "meshlens", "doctor", "--json"], capture_output=True, text=True, check=True
    )
    said = {
        record["feature"]: record["supported"]
        for record in map(json.loads, doctor.stdout.splitlines())
        if "feature" in record
    }
    bpftool = subprocess.run(
        ["bpftool", "-j", "feature", "probe", "kernel"], capture_output=True, text=True, check=True
    )
    tried = json.loads(bpftool.stdout)
    assert {name: said[name] for name in SAME} == {
        name: tried[section][key] for name, (section, key) in SAME.items()
    }
