"""Files that others read while we write them."""

import os
from pathlib import Path

from meshlens.errors import MeshlensError

__all__ = ["replace_file"]


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Put a new file in the place of the one before, in one step: nobody ever reads half of it.

    Until then its name begins with a dot. Raises MeshlensError if it cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            part.write_bytes(content)
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise MeshlensError(f"cannot write {path}: {error.strerror}") from error
