"""Writing a file whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path

from izhi_models.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`, which takes its place when the block ends well.

    Parameters
    ----------
    path : Path
        Its directory is created if need be. A file of this name is replaced in one step; a folder
        is not.

    Raises
    ------
    InputError
        If the system refuses to create, write or rename the file. Nothing is left behind.
    """
    temporary = path.with_name(f".izhi-{secrets.token_hex(8)}")
    made = [item for item in (path.parent, *path.parent.parents) if not item.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, FileExistsError):  # by mkdir
            reason = f"'{path.parent}' is no folder"
        raise InputError(f"cannot write '{path}': {reason}") from error
    finally:
        with suppress(OSError):  # its directory may not exist
            temporary.unlink(missing_ok=True)
        for folder in made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
