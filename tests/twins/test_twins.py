"""Every mistake planted in the machine, the store or the loop is caught by the checker that must."""

from __future__ import annotations

import pytest

from tests.twins import loop, machine, store
from tests.twins.twin import Twin

TWINS: tuple[Twin, ...] = (*machine.TWINS, *loop.TWINS, *store.TWINS)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_a_twin_is_caught(twin: Twin) -> None:
    """The checker shows a way to the breach."""
    assert twin.catch() != "", twin.breaks


def test_there_are_many_different_twins() -> None:
    """No mistake is counted twice; there are at least twenty, and some in each part of the product."""
    assert len({twin.name for twin in TWINS}) == len({twin.breaks for twin in TWINS}) == len(TWINS)
    assert len(TWINS) >= 20
    assert min(len(part.TWINS) for part in (machine, store, loop)) >= 5
