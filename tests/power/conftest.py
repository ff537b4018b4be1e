"""A folder for logs in memory, where there is one: the disk that is tested is ours, not the machine's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where Linux keeps files in memory; a folder of our own is made there


@pytest.fixture
def folder() -> Iterator[Path]:
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="sledsaga-power-", dir=place))
    yield made
    shutil.rmtree(made)
