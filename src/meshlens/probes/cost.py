"""What a program of ours costs."""

from dataclasses import dataclass

__all__ = ["ProbeCost"]


@dataclass(frozen=True, slots=True)
class ProbeCost:
    """What one program of ours costs: runs and their time are 0 unless the kernel's run statistics are on."""

    probe: str
    interface: str
    direction: str
    instructions: int
    memory_bytes: int
    run_count: int
    run_time_ns: int
