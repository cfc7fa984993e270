"""When the verifier says no."""

from meshlens.errors import MeshlensError

__all__ = ["VerifierError"]


class VerifierError(MeshlensError):
    """The kernel refused a program. `log` is the verifier's own account."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log
