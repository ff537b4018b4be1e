"""Every store does what the contract says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sledsaga.check.contract.store import CONTRACT
from sledsaga.store.open import open_store
from sledsaga.store.store import Store


@pytest.fixture(params=["memory:", "sqlite:///{}/log.db"], ids=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(request.param.format(tmp_path))
    yield opened
    opened.close()


@pytest.mark.parametrize("behaviour", CONTRACT, ids=lambda b: b.__name__)
def test_contract(behaviour: Callable[[Store], None], store: Store) -> None:
    """A store behaves as its contract says."""
    behaviour(store)
