"""The shortest way to a breach of a store by lost power, for stores that may have a mistake.

Rules
- First the cuts under one client, then those under the next one after a kill, in ascending order.
- A store that cannot even be written is a breach as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from sledsaga.errors import SledsagaError
from sledsaga.store.sql import SqlStore
from tests.power.cuts import Client, Open, before_syncs, chosen_places, cuts, judge_cut, live_on, record


def first_breach(open_log: Open = SqlStore) -> str:
    """Return the first breach that some hundred cuts find, "" for none."""
    with tempfile.TemporaryDirectory(prefix="sledsaga-power-") as folder:
        try:
            return next(_breaches(open_log, Path(folder)), "")
        except (SledsagaError, AssertionError) as error:
            return f"{type(error).__name__}: {error}"


def _breaches(open_log: Open, folder: Path) -> Iterator[str]:
    client = record(folder / "log", 1, open_log=open_log, count=6)
    length = len(client.tape.entries)
    yield from _judged(client, chosen_places(length, 60, seed=1), folder)
    for place in before_syncs(client)[1::4]:
        heir = live_on(client, place, folder / "next")
        more = len(heir.tape.entries) - place
        yield from _judged(heir, [place + one for one in chosen_places(more, 12, seed=place)], folder)


def _judged(client: Client, places: list[int], folder: Path) -> Iterator[str]:
    for cut in cuts(client.tape, places):
        told = judge_cut(cut, client.pictures, folder / "after")
        if told:
            yield told
