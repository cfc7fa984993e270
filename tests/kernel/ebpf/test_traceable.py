"""Programs say what they are given, if they are asked to, and what cannot be traced says why."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from meshlens.ebpf import Asm, Program, ProgramSpec, ProgramType
from meshlens.ebpf.kernel_btf import module_btf, module_handle
from meshlens.ebpf.tracing import Hook, KernelTypes, Trace, attach_trace, program_function
from meshlens.errors import MeshlensError, NotSupported, UsageError

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def passing(type: ProgramType, *, traceable: bool) -> Program:
    a = Asm()
    a.ret(2)
    return ProgramSpec("passing", type, a, traceable=traceable).load()


@pytest.mark.parametrize(
    ("type", "context"), [(ProgramType.XDP, "xdp_buff"), (ProgramType.SCHED_CLS, "sk_buff")]
)
def test_a_traceable_program_says_what_it_is_given(type: ProgramType, context: str) -> None:
    with passing(type, traceable=True) as program:
        function = program_function(program.info().id)
        (parameter,) = function.parameters
        assert function.name == "passing"
        assert function.btf.describe(parameter.type) == f"struct {context} *"
        assert program.test_run(bytes(64)).retval == 2


def test_bpftool_sees_the_function() -> None:
    if shutil.which("bpftool") is None:
        pytest.skip("no bpftool")
    with passing(ProgramType.XDP, traceable=True) as program:
        shown = bpftool("prog", "show", "id", str(program.info().id))
        types = bpftool("btf", "dump", "id", str(shown["btf_id"]))["types"]
    functions = [each for each in types if each["kind"] == "FUNC"]
    assert [each["name"] for each in functions] == ["passing"]


def bpftool(*words: str) -> dict[str, Any]:
    said = subprocess.run(["bpftool", "-j", *words], check=True, capture_output=True).stdout
    result: dict[str, Any] = json.loads(said)
    return result


def test_a_program_without_says_so() -> None:
    with passing(ProgramType.XDP, traceable=False) as program:
        number = program.info().id
        with pytest.raises(NotSupported, match=rf"program {number} \(passing\) was loaded without BTF"):
            program_function(number)
    with pytest.raises(MeshlensError, match=f"open program {number}"):
        program_function(number)


def test_only_packet_programs_are_traceable() -> None:
    with pytest.raises(
        UsageError, match="only XDP and SCHED_CLS programs can be traceable, not SOCKET_FILTER"
    ):
        passing(ProgramType.SOCKET_FILTER, traceable=True)


def test_a_module_that_is_not_loaded_is_named() -> None:
    with pytest.raises(NotSupported, match="module no_such_module is not loaded, or has no BTF"):
        module_btf("no-such-module")
    with pytest.raises(NotSupported, match="module no_such_module is not loaded"):
        module_handle("no_such_module")


def test_what_is_no_trace_is_not_attached_as_one() -> None:
    with (
        passing(ProgramType.XDP, traceable=False) as program,
        pytest.raises(UsageError, match=r"Trace\.program"),
    ):
        attach_trace(program)


def test_a_trace_of_each_kind_is_for_one_function() -> None:
    function = KernelTypes().function("bpf_fentry_test1")
    hooks: tuple[Hook, ...] = ("fentry", "fexit")
    specs = []
    for hook in hooks:
        a = Trace(hook, function)
        a.ret(0)
        specs.append(a.program("probe"))
    assert specs[0] != specs[1]
    assert [str(spec.attach_to) for spec in specs] == ["fentry bpf_fentry_test1", "fexit bpf_fentry_test1"]
