"""Power cuts: a client that writes and knows what it was told, and the judge of what is there afterwards.

Rules
- Before each write the client notes both pictures that may be found from now on, after it the one that
  must be. A cut anywhere on the tape is judged by the last note before it.
- What a client has read after a restart was as good as acknowledged: others may have acted upon it.
- After the cut the log is opened by the store as it is used, through Python's own SQLite.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sledsaga.check.contract.samples import a_saga, saga_id
from sledsaga.errors import LogUnavailable, SledsagaError
from sledsaga.store.sql import SqlStore
from sledsaga.store.sqlite import Connect, connecting_by
from sledsaga.store.store import Store
from tests.power.dbapi import connect_through
from tests.power.disk import Disk, Note, Synced
from tests.power.vfs import PowerVfs, Tape, lay_out, next_life
from tests.power.workload import Batch, Picture, difference, look, make_batches, pictures

LOG: Final = "log.db"
STRANGER: Final = 900_000_000  # the number of a saga that no batch has
STARTS: Final = "a start has begun"
Open = Callable[[Path], Store]


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many batches the log may have from here on; `why` says what the client knows."""

    counts: tuple[int, ...]
    why: str


@dataclass(slots=True)
class Client:
    """Writes batches to a log on a tape, one after the other, whatever happens."""

    folder: Path
    batches: Sequence[Batch]
    tape: Tape = field(default_factory=Tape)
    open: Open = SqlStore
    closes_after: frozenset[int] = frozenset()
    done: int = 0
    known: tuple[int, ...] = (0,)
    troubles: list[str] = field(default_factory=list)
    _store: Store | None = None
    _connect: Connect | None = None

    def run(self, *, closes: bool = True) -> None:
        """Write all batches; after trouble look what is there, and go on from it."""
        self._connect = connect_through(PowerVfs(self.tape))
        self._note("nothing was asked yet")
        try:
            self._write_all()
        except BaseException:
            self.close()
            raise
        if closes:
            self.close()

    def _write_all(self) -> None:
        while self.done < len(self.batches):
            assert len(self.troubles) < 40, self.troubles
            try:
                self._go_on()
            except LogUnavailable as error:
                self._suffer(error)

    def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _go_on(self) -> None:
        if self._store is None:
            self._reopen()
        store = self._store
        assert store is not None
        if self.done == len(self.batches):
            return
        batch = self.batches[self.done]
        self.known = (*self.known, self.done + 1)
        self._note("a write has begun")
        store.write(batch.new, batch.appends)
        self.done += 1
        self.known = (self.done,)
        self._note("a write was acknowledged")
        if self.done in self.closes_after:
            self.close()

    def _reopen(self) -> None:
        assert self._connect is not None
        self._note(STARTS)
        with connecting_by(self._connect):
            self._store = self.open(self.folder / LOG)
        found = look(self._store)
        told = difference(found, [self.pictures[n] for n in self.known])
        assert not told, f"after {self.troubles}: {told}"
        self.done = next(n for n in self.known if self.pictures[n] == found)
        self.known = (self.done,)
        self._note("it was read after a start")

    def _suffer(self, error: LogUnavailable) -> None:
        self.troubles.append(str(error))
        if "nothing was recorded" in str(error):
            self.known = (self.done,)
            self._note("the write was refused, and nothing recorded")
            if len(self.troubles) % 2:
                return  # there is room again
        self.close()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return _pictures(tuple(self.batches))

    def _note(self, why: str) -> None:
        self.tape.note(Allowed(self.known, why))


_MADE: dict[int, tuple[tuple[Batch, ...], tuple[Picture, ...]]] = {}


def _pictures(batches: tuple[Batch, ...]) -> tuple[Picture, ...]:
    """Return the pictures of these very batches, made once."""
    found = _MADE.get(id(batches))
    if found is None or found[0] is not batches:
        found = _MADE[id(batches)] = (batches, pictures(batches))
    return found[1]


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut of the power after so many entries of a tape."""

    place: int
    seed: int
    disk: Disk
    allowed: Allowed
    heard: tuple[Any, ...] = ()  # what else was noted before the cut


def cuts(tape: Tape, places: Sequence[int], *, seed: int = 0, forgets: bool = True) -> Iterator[Cut]:
    """Cut the power at these places of a tape, in ascending order; each cut goes its own way."""
    disk, at, allowed = Disk(forgets=forgets), 0, Allowed((0,), "nothing was written")
    heard: list[Any] = []
    for place in sorted(places):
        for entry in tape.entries[at:place]:
            disk.hear(entry)
            if isinstance(entry, Note) and isinstance(entry.what, Allowed):
                allowed = entry.what
            elif isinstance(entry, Note):
                heard.append(entry.what)
        at = place
        yield Cut(place, seed * 7919 + place, disk, allowed, tuple(heard))


def chosen_places(length: int, count: int, seed: int) -> list[int]:
    """Choose places on a tape of that length by seed; all when there are no more than that."""
    every = range(1, length + 1)
    dice = random.Random(seed)  # noqa: S311 - a dice
    return sorted(dice.sample(every, count)) if count < len(every) else [*every]


def before_syncs(client: Client) -> list[int]:
    """Return the places where all was written and a sync was about to begin: the worst moments to die."""
    return [place for place, entry in enumerate(client.tape.entries) if isinstance(entry, Synced)]


def judge_cut(cut: Cut, found: Sequence[Picture], folder: Path) -> str:
    """Cut the power and open the log again; return what is broken, "" for nothing."""
    way, files = cut.disk.after_cut(cut.seed)
    lay_out(files, folder)
    try:
        told = judge_log(folder / LOG, [found[n] for n in cut.allowed.counts])
    except (SledsagaError, AssertionError) as error:
        told = f"{type(error).__name__}: {error}"
    return f"cut at {cut.place}, {way} (seed {cut.seed}), when {cut.allowed.why}: {told}" if told else ""


def judge_log(path: Path, allowed: Sequence[Picture]) -> str:
    """Open a log as the product does; return what is wrong with it, "" for nothing."""
    store = SqlStore(path)
    try:
        told = difference(look(store), allowed)
        if told:
            return told
        if store.write([a_saga(STRANGER)], []) != () or store.row(saga_id(STRANGER)).seq != 1:
            return "it cannot be written any more"
    finally:
        store.close()
    return integrity(path)


def integrity(path: Path) -> str:
    """Return what SQLite finds wrong with a file, "" for nothing."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        found = [text for (text,) in db.execute("PRAGMA integrity_check")]
        found += [str(row) for row in db.execute("PRAGMA foreign_key_check")]
    return "" if found == ["ok"] else "; ".join(found)


def record(folder: Path, seed: int, *, open_log: Open = SqlStore, **about: int) -> Client:
    """Let a client write the batches of a seed to a log in this folder; some seeds close it in between."""
    folder.mkdir()
    batches = make_batches(seed, **about)
    closes = frozenset({len(batches) // 3, 2 * len(batches) // 3} if seed % 2 else ())
    client = Client(folder, batches, open=open_log, closes_after=closes)
    client.run()
    return client


def live_on(client: Client, place: int, folder: Path) -> Client:
    """Kill the client there, with power: the next one reads what it wrote, synced or not, and goes on."""
    tape = next_life(client.tape.entries[:place], folder)
    told = [entry.what for entry in tape.entries if isinstance(entry, Note)]
    known = told[-1].counts if told else (0,)
    heir = Client(folder, client.batches, tape, open=client.open, known=known, done=known[0])
    heir.run()
    return heir
