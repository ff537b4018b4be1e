"""The checkers that catch broken stores are silent on the real ones."""

from __future__ import annotations

from sledsaga.store.memory import MemoryStore
from tests.power.finding import first_breach
from tests.twins.store import Altered, breach_of_contract


def test_the_real_stores_are_not() -> None:
    """The same checks find nothing in the store in memory, in one that only passes on, and in the file's."""
    assert breach_of_contract(MemoryStore) == breach_of_contract(Altered) == first_breach() == ""
