"""The flag that tells a call to end: it wakes whoever waits, whenever it is raised."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sledsaga.engine.flag import Flag
from tests.engine.toys import PATIENCE_S


def test_who_waits_is_woken() -> None:
    """Those who wait already hear of it, and those who come later need not wait."""
    flag = Flag()
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(flag.wait, PATIENCE_S) for _ in range(4)]
        while not any(wait.running() for wait in waits):
            time.sleep(0.001)
        flag.set()
        assert all(wait.result() for wait in waits)
    assert flag.is_set()
    assert flag.wait(0)


def test_who_waits_too_short_is_told() -> None:
    """A wait that was over first says so, and the flag is still to be raised."""
    flag = Flag()
    assert not flag.wait(0.001)
    assert not flag.is_set()
    flag.set()
    assert flag.wait()


def test_no_wait_is_missed() -> None:
    """However a first wait and the raising of the flag meet, the wait ends."""
    for _ in range(500):
        flag, both = Flag(), threading.Barrier(2)

        def wait(flag: Flag = flag, both: threading.Barrier = both) -> bool:
            both.wait()
            return flag.wait(PATIENCE_S)

        with ThreadPoolExecutor(1) as pool:
            woken = pool.submit(wait)
            both.wait()
            flag.set()
            assert woken.result()


def test_it_shows_how_it_stands() -> None:
    """Before anybody waits there is nothing of an event in it, and it can be shown all the same."""
    flag = Flag()
    assert repr(flag) == "<Flag: unset>"
    flag.set()
    assert repr(flag) == "<Flag: set>"
    with pytest.raises(NotImplementedError, match="stays as it was set"):
        flag.clear()
