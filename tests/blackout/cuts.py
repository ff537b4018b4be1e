"""When the power is cut, and a chain of lives with a cut after each.

Rules
- A moment is counted in what the machine tells, plus some milliseconds, so it falls between and into
  commits and commands. All comes of a seed.
- Every life begins with the recovery of what the last cut left; each third cut or so falls into it.
- The last life is let come to rest, and judged as the others are.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from tests.blackout.judge import Witness, judge_found, judge_rest, lost
from tests.blackout.machine import Machine, check_disk
from tests.blackout.orders import Orders
from tests.blackout.work import Told, find_work

Phase = Literal["recovery", "do", "undo", "commit"]
PLACES: Final[tuple[tuple[Phase, int], ...]] = (
    ("do", 7),
    ("recovery", 4),
    ("undo", 4),
    ("recovery", 9),
    ("recovery", 2),
    ("commit", 30),
)
"""Where cuts fall, in turn: in which phase, and after how many of its messages at most."""
DELAYS_S: Final = (0.0, 0.0, 0.004, 0.015, 0.05, 0.12)
LIFE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Moment:
    """After so many messages of a phase, and then some seconds."""

    phase: Phase
    after: int
    delay_s: float


@dataclass(slots=True)
class Figures:
    """What came of some cuts."""

    cuts: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return one line for people."""
        phases = ", ".join(f"{count} in {phase}" for phase, count in sorted(self.cuts.items()))
        return (
            f"{self.cuts.total()} cuts ({phases}), {self.acknowledged} events acknowledged, "
            f"{self.lost} lost, {self.seconds:.0f} s"
        )


def moments(seed: int, count: int) -> list[Moment]:
    """Return the moments of a seed; where it starts in the table is the seed's, too."""
    dice = random.Random(seed)  # noqa: S311 - a dice
    places = [PLACES[(seed + number) % len(PLACES)] for number in range(count)]
    return [Moment(phase, dice.randint(1, most), dice.choice(DELAYS_S)) for phase, most in places]


def cut_again_and_again(machine: Machine, orders: Orders, planned: list[Moment]) -> Figures:
    """Live once for each moment, each time on what the cut before has left; then once more until rest."""
    witness, figures, began = Witness(), Figures(), time.monotonic()
    for moment in planned:
        figures.wrong += [
            f"{moment}: {told}"
            for told in live_until(machine, orders, moment, witness=witness, figures=figures)
        ]
        if figures.wrong:
            return figures
    figures.wrong += live_until_rest(machine, replace(orders, rounds=0), witness)
    figures.wrong += filter(None, [check_disk(machine)])
    figures.acknowledged, figures.seconds = len(witness.acks), time.monotonic() - began
    return figures


def live_until(
    machine: Machine, orders: Orders, moment: Moment, *, witness: Witness, figures: Figures
) -> list[str]:
    """Boot, judge what is told, and cut the power at the moment; return what is wrong."""
    phase, seen, wrong = "recovery", 0, []
    with machine.boot(orders) as life:
        for told in life.hear(LIFE_S):
            wrong += judge(orders, witness, told)
            witness.hear(told)
            phase = phase_after(phase, told)
            seen += is_of(moment.phase, phase, told)
            if wrong or seen >= moment.after:
                break
        else:
            wrong.append("the machine has ended: " + "\n".join(life.console))
        time.sleep(moment.delay_s)
        life.cut()
        for told in life.hear(LIFE_S):
            witness.hear(told)
    figures.cuts[phase] += 1
    return wrong


def live_until_rest(machine: Machine, orders: Orders, witness: Witness) -> list[str]:
    """Boot, let all come to rest, and judge it."""
    with machine.boot(orders) as life:
        wrong = []
        for told in life.hear(LIFE_S):
            wrong += judge(orders, witness, told)
            witness.hear(told)
            if wrong or told["kind"] == "rest":
                return wrong
    return ["the machine has ended: " + "\n".join(life.console)]


def judge(orders: Orders, witness: Witness, told: Told) -> list[str]:
    """Judge one message by what is known."""
    if told["kind"] == "broken":
        return [told["error"]]
    if told["kind"] == "found":
        return judge_found(find_work(orders.work), witness, told)
    return judge_rest(find_work(orders.work), told) if told["kind"] == "rest" else []


def phase_after(phase: str, told: Told) -> str:
    """Say in which phase the machine is once it has told this."""
    if told["kind"] == "rest":
        return "commit"
    return told["direction"] if told["kind"] == "begin" and phase != "recovery" else phase


def is_of(wanted: Phase, phase: str, told: Told) -> bool:
    """Say whether a message counts for a moment; where nothing was to recover, the next commits count."""
    if wanted in ("recovery", "commit"):
        return told["kind"] == "ack" and (wanted == "recovery" or phase != "recovery")
    return told["kind"] == "begin" and phase == wanted


def count_lost(machine: Machine, orders: Orders, acks: int) -> tuple[int, int]:
    """Cut once after so many acknowledged events; return how many there were, and how many are lost."""
    witness = Witness()
    with machine.boot(orders) as life:
        for told in life.hear(LIFE_S):
            witness.hear(told)
            if len(witness.acks) >= acks:
                break
    with machine.boot(replace(orders, rounds=0)) as life:
        for told in life.hear(LIFE_S):
            if told["kind"] == "found":
                return len(witness.acks), len(lost(witness, told))
            if told["kind"] == "broken":
                return len(witness.acks), len(witness.acks)
    return len(witness.acks), len(witness.acks)
