"""Calls of the disk that fail, one after the other: N = 1, 2, 3, … until a run is not touched any more.

Rules
- A run writes batches to a log and goes on whatever happens, as a person would: looks, makes room, starts
  again. Whenever it looks it must find what it knows.
- Power is lost too, at some places. Until the next start a sync that failed has synced nothing, and nothing
  ever will. From then on a sync counts again: a log that was started on pages which the system believes to be
  on the disk, and which are not, is beyond what any program can see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from sledsaga.errors import SledsagaError
from sledsaga.store.sql import SqlStore
from tests.power.cuts import LOG, STARTS, Client, Open, chosen_places, cuts, judge_cut, judge_log
from tests.power.disk import Synced, disk_after
from tests.power.vfs import Fault, Trouble, lay_out
from tests.power.workload import make_batches

ENOUGH: Final = 2000  # calls of one run; none makes as many
LEAST: Final = 20  # calls of one run that must have failed; each makes more


@dataclass(frozen=True, slots=True)
class Run:
    """What kind of failure, how many calls in a row, and what is being done when it comes."""

    trouble: Trouble
    times: int = 1
    making: bool = False  # the log, or else writing to one that is there
    seed: int = 0
    count: int = 4
    cuts: int = 3
    open: Open = SqlStore

    def told(self, folder: Path) -> Iterator[tuple[int, str]]:
        """Yield each N and what was found broken ("" for nothing), until a run is not touched."""
        for at in range(1, ENOUGH):
            fault = Fault(self.trouble, at, self.times)
            yield at, self._judge(folder / f"run{at}", fault)
            if not fault.came:
                return
        raise AssertionError(f"still failing after {ENOUGH} calls")

    def _judge(self, folder: Path, fault: Fault) -> str:
        folder.mkdir()
        try:
            client, since = self._client(folder, fault)
            told = self._broken(client, folder / "after", since)
        except (AssertionError, SledsagaError) as error:
            told = f"{type(error).__name__}: {error}"
        return f"{self.trouble} at call {fault.at}: {told}" if told else ""

    def _client(self, folder: Path, fault: Fault) -> tuple[Client, int]:
        """Let a client run through the failure; also say where on its tape that began."""
        batches = make_batches(self.seed, count=self.count)
        client = Client(folder, batches, open=self.open, closes_after=frozenset({2}))
        since = 0
        if not self.making:
            client.batches = batches[:1]
            client.run()
            client.batches, since = batches, len(client.tape.entries)
        client.tape.fault = fault
        client.run()
        return client, since

    def _broken(self, client: Client, folder: Path, since: int) -> str:
        entries, found = client.tape.entries, client.pictures
        lay_out(disk_after(entries).now(), folder)
        told = judge_log(folder / LOG, found[-1:])
        dark = next((n for n, one in enumerate(entries) if isinstance(one, Synced) and one.failed), 0)
        start = next((n for n in range(dark, len(entries)) if STARTS in str(entries[n])), len(entries))
        places = [since + place for place in chosen_places(len(entries) - since, self.cuts, len(entries))]
        early, late = [n for n in places if n <= start], [n for n in places if n > start]
        every = chain(cuts(client.tape, early), cuts(client.tape, late, forgets=False))
        judged = (judge_cut(cut, found, folder) for cut in every)
        return told or next(filter(None, judged), "")


def sweep(run: Run, folder: Path, note: Callable[[str], None] = print) -> list[str]:
    """Fail each call in turn; return what was found broken."""
    every = list(run.told(folder))
    assert len(every) - 1 >= LEAST, f"only {len(every) - 1} calls failed: does the log use this disk?"
    note(f"{run.trouble} x{run.times}: {len(every) - 1} failures, {len(every) * run.cuts} power cuts")
    return [told for _, told in every if told]
