"""The assembler with structure."""

from meshlens.ebpf.assembler import Assembler
from meshlens.ebpf.helpers import Helper

__all__ = ["Asm"]


class Asm(Assembler):
    """The flat assembler plus what makes a hand-written probe read like what it does."""

    def call(self, helper: Helper) -> None:
        """R0 = helper(R1..R5)."""
        self.call_helper(helper)
