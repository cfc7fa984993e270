"""What can go wrong, in the words of the person who has to act on it."""

__all__ = ["MeshlensError", "NotSupported", "PermissionDenied", "UsageError"]


class MeshlensError(Exception):
    """Base of every error meshlens raises: one line that says what, where and what would be right."""

    exit_code = 1


class UsageError(MeshlensError):
    """The request itself cannot be right: a bad list line, an unknown primitive, a missing option."""

    exit_code = 2


class NotSupported(MeshlensError):
    """This kernel (or driver) lacks a feature; `meshlens doctor` lists what that costs."""


class PermissionDenied(MeshlensError):
    """The feature is there, the privilege is not."""
