"""Which files this process has open: what was closed or refused must not keep any."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import pytest

HANDLES: Final = Path("/proc/self/fd")
tells_open_files = pytest.mark.skipif(
    not HANDLES.is_dir(), reason="this system does not say which files are open"
)


def open_below(path: Path) -> list[str]:
    """Return the open files whose names begin with a path, sorted."""
    found = []
    for handle in list(HANDLES.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # it was the listing's own
            found.append(str(handle.readlink()))
    return sorted(name for name in found if name.startswith(str(path)))
