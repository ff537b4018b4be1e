"""These tests are for the guest: on any other machine they are skipped, with one line for all of them."""

from __future__ import annotations

import os

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
