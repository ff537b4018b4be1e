"""Simulate: the real executor, store and sled in a world of bad luck that is the same for the same seed.

    python -m sledsaga.check.simulate --seeds 10000 [--from N] [--sagas N] [--jobs 2]

A seed is a world: operations of random shape, people who submit and command, executors that are killed one
after the other (sometimes two at once believe that they drive), a disk that fails, is slow or answers late,
steps that fail in every way. The loop is turned by hand under a clock of the world's own; there is no thread.

Rules
- Judged on the way: every event by the judge of logs, every state by what must hold of it, every start of a
  call against the log, every answer, who holds what. Judged in the end: the log is what was written, the
  machine is what the log says, and every saga has ended or named what it waits for.
- Nothing here knows how the engine works; it knows what was promised.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import count as turns
from pathlib import Path
from random import Random

from sledsaga.check.command import count, in_processes, run_to_end
from sledsaga.check.simulation.machine import WHOLE
from sledsaga.check.simulation.operations import Order
from sledsaga.check.simulation.people import ROUNDS, People
from sledsaga.check.simulation.shadow import Told
from sledsaga.check.simulation.weather import draw
from sledsaga.check.simulation.world import Parts, World
from sledsaga.core.dag import Dag
from sledsaga.core.events import Recorded, code_of
from sledsaga.core.state import Status
from sledsaga.core.view import event_to_json
from sledsaga.engine.messages import Idle
from sledsaga.store.codec import to_row

SAGAS = 1000
MOVES_A_SAGA = 3000
TELL_S = 10.0
SHM = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made in it
REAL = Parts()
GONE = frozenset({Status.PENDING, Status.UNDONE, Status.FAILED_CLEAN})


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one seed: what was counted, a digest of all that happened, and the breach, if any."""

    seed: int
    sagas: int
    digest: str
    count: Counter[str]
    breach: str = ""
    transcript: tuple[str, ...] = ()

    @property
    def again(self) -> str:
        """Return the one command that does it again."""
        return _again(self.seed, self.sagas)


def _again(seed: int, sagas: int) -> str:
    return f"python -m sledsaga.check.simulate --seeds 1 --from {seed} --sagas {sagas}"


def simulate(seed: int, *, sagas: int = SAGAS, parts: Parts = REAL, folder: Path | None = None) -> Run:
    """Live through one seed. Every fourth world has its log in SQLite, every fourth a sled.

    What it writes is in a folder of its own, in `folder` or else in memory, and gone afterwards.
    """
    dice = Random(f"sledsaga {seed}")  # noqa: S311 - a dice
    weather = draw(dice, is_sql=seed % 4 == 0, has_sled=seed % 4 == 1)
    gc.disable()  # what dies here is counted, or goes with its world; it is a fifth of the time
    with _folder(folder) as place:
        world = World(dice, weather, parts, Path(place), lives_max=8 + sagas // 25)
        try:
            _live(world, sagas)
            return Run(seed, sagas, _digest(world), world.count, *_told(world))
        except Exception as error:
            error.add_note(f"the simulation itself is broken; to see it again: {_again(seed, sagas)}")
            raise
        finally:
            world.close()
            gc.enable()


def _folder(above: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sledsaga-", dir=above or (SHM if SHM.is_dir() else None))


def _live(world: World, sagas: int) -> None:
    """Let the world go through its trouble, then through its calm, then judge what is left."""
    people, moves = People(world), sagas * MOVES_A_SAGA + 100_000
    span_s = people.come(sagas)
    world.begin_life()
    world.run(lambda: world.is_calm or (world.now > span_s * 1.5 and not world.shadow.open), moves=moves)
    world.is_calm = True
    world.renew()
    for turn in turns():
        world.run(lambda: False, moves=moves)
        if world.breaches or turn == ROUNDS or not people.decide(turn):
            break
    _judge(world)


def _judge(world: World) -> None:
    """Hold what is left against what the log says."""
    if world.breaches:
        return
    for saga in world.shadow.open:
        world.blame(saga, "it has not ended although everything was decided")
    answered: list[object] = []
    world.lives[-1].ask(Idle(Future()), lambda answer, _error: answered.append(answer))
    world.run(lambda: False, moves=sys.maxsize)
    if answered != [True]:
        world.blame("", f"the executor does not say that it is idle, but {answered}")
    store = world.open()
    world.shadow.compare(store, world.shadow.sagas)
    world.shadow.compare_locks(store)
    world.let_go(store)
    world.count["sagas"], world.count["events"] = len(world.shadow.sagas), world.shadow.events
    world.count.update(f"ended {told.state.outcome}" for told in world.shadow.sagas.values())
    world.count.update({f"calls of {direction}": made for direction, made in world.calls.made.items()})
    world.count.update(
        f"event {code_of(one.event)}" for told in world.shadow.sagas.values() for one in told.log
    )
    for saga, told in world.shadow.sagas.items():
        for wrong in _differs(told, world.machine.left(saga)):
            world.blame(saga, wrong)
    if world.ground is not None:
        _judge_sled(world)


def _differs(told: Told, left: dict[str, int]) -> Iterator[str]:
    """Yield where the machine is not what the end of a saga says."""
    if told.plan.dag.operation == "sled-op" or told.state.outcome == "abandoned":
        return
    for step, status in zip(told.plan.dag.steps, told.state.status, strict=True):
        there = left.get(step.path, 0)
        if status is Status.SUCCEEDED and told.state.outcome == "succeeded" and there != WHOLE:
            yield f"{step.path} has succeeded, and {there} of {WHOLE} parts of it are there"
        if status in GONE and there:
            yield f"{step.path} is {status}, and {there} of {WHOLE} parts of it are there"


def _judge_sled(world: World) -> None:
    """Hold the real sled against the log."""
    assert world.ground is not None
    left = world.ground.left()
    for saga, told in world.shadow.sagas.items():
        if told.plan.dag.operation != "sled-op" or told.state.outcome == "abandoned":
            continue
        number = Order.model_validate(told.plan.params).number
        for step, status in zip(told.plan.dag.steps[:3], told.state.status, strict=False):
            owner = left.get((step.path, number))
            if status is Status.SUCCEEDED and told.state.outcome == "succeeded" and owner != saga:
                world.blame(saga, f"{step.path} has succeeded, and on the sled it is {owner}'s")
            if status in GONE and owner is not None:
                world.blame(saga, f"{step.path} is {status}, and it is still on the sled")


def _digest(world: World) -> str:
    """Return a digest of everything that was recorded, in the order in which it was, and of all counts."""
    total = hashlib.sha256(repr(sorted(world.count.items())).encode())
    for saga, told in world.shadow.sagas.items():
        for one in told.log:
            total.update(f"{saga} {one.seq} {one.at!r} {one.epoch} {to_row(one.event)}\n".encode())
    return total.hexdigest()


def _told(world: World) -> tuple[str, tuple[str, ...]]:
    """Return the first breach and the way to it: what befell executors, and the saga's log."""
    if not world.breaches:
        return "", ()
    saga, wrong = world.breaches[0]
    told = world.shadow.sagas.get(saga)
    lines = [f"world   {note}" for note in world.notes]
    if told is not None:
        lines += [f"{saga[-6:]}  {_line(one, told.plan.dag)}" for one in told.log]
    return f"{saga or 'the executor'}: {wrong}", tuple(lines)


def _line(one: Recorded, dag: Dag) -> str:
    body = event_to_json(one, dag)
    about = " ".join(f"{key}={body[key]}" for key in body if key not in ("seq", "at", "epoch", "type"))
    return f"{one.at % 100_000:9.3f}  {one.seq:3} claim {one.epoch} {body['type']} {about}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Live through many seeds, say what was seen, and return 1 at the first breach."""
    parser = argparse.ArgumentParser(
        prog="python -m sledsaga.check.simulate", description=__doc__.split("\n")[0]
    )
    counts = {
        "seeds": (200, count(1), "how many worlds"),
        "from": (0, count(0), "the first seed"),
        "sagas": (SAGAS, count(1), "how many sagas in each"),
        "jobs": (1, count(1), "how many processes"),
    }
    for flag, (default, kind, what) in counts.items():
        dest = "first" if flag == "from" else flag
        parser.add_argument(
            f"--{flag}",
            type=kind,
            default=default,
            dest=dest,
            metavar="N",
            help=f"{what} (default: {default})",
        )
    given = parser.parse_args(arguments)
    return _many(given.first, given.seeds, sagas=given.sagas, jobs=given.jobs)


def _many(first: int, seeds: int, *, sagas: int, jobs: int) -> int:
    began, total, whole = time.monotonic(), Counter[str](), hashlib.sha256()
    told = began
    sys.stdout.write(f"seeds {first} to {first + seeds - 1}, {sagas:,} sagas in each\n")
    sys.stdout.flush()
    for done, run in enumerate(_runs(range(first, first + seeds), sagas, jobs), 1):
        total.update(run.count)
        if run.breach:
            sys.stdout.write("\n".join((*run.transcript, f"seed {run.seed}: {run.breach}", run.again, "")))
            return 1
        whole.update(run.digest.encode())
        now = time.monotonic()
        if now - told >= TELL_S or done == seeds:
            told, seconds = now, now - began
            sys.stdout.write(f"{done} seeds, {done / seconds:.2f} a second; {_sum(total, seconds)}\n")
            sys.stdout.flush()
    sys.stdout.write(f"digest {whole.hexdigest()}\n")
    return 0


def _runs(seeds: range, sagas: int, jobs: int) -> Iterator[Run]:
    """Live through seeds, never in this process: executors and steps take Ctrl-C for a trouble of theirs."""
    with _folder() as folder:
        yield from in_processes(partial(simulate, sagas=sagas, folder=Path(folder)), seeds, jobs=jobs)


def _sum(total: Counter[str], seconds: float) -> str:
    counts = ", ".join(f"{name} {number:,}" for name, number in sorted(total.items()) if "event " not in name)
    return f"{total['sagas'] / seconds:,.0f} sagas a second; {counts}"


if __name__ == "__main__":
    sys.exit(run_to_end(main))
