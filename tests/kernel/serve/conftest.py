"""A veth pair that carries mesh frames."""

from tests.kernel.count.conftest import mesh

__all__ = ["mesh"]
