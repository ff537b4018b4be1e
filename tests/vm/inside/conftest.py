"""These tests are for the guest: on any other machine they are skipped, with one line for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tiers import skip_tier
from tests.vm.recipe import find_guest


@pytest.fixture(autouse=True, scope="session")
def _inside_only() -> None:
    if "SLEDSAGA_GUEST" not in os.environ:
        first = (
            "runs them" if find_guest() else "builds a guest with OpenZFS (nine minutes, once) and runs them"
        )
        skip_tier("vm", f"`make test-vm` {first}")


@pytest.fixture
def ground() -> Iterator[Any]:
    """Give a test the guest's disks, blank, and the drivers of this machine."""
    from tests.vm.inside.ground import open_ground

    with open_ground() as opened:
        yield opened
