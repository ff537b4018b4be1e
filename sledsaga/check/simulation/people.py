"""Those outside: they submit, submit again, wait, say whatever they like, and in the end decide what is left.

Rules
- Whoever got no answer asks again with the same key; whoever got one is never told another saga.
- A command that was refused leaves no trace; one that was accepted is in the log when it is answered.
- In the end every saga has ended, or waits for a decision that it names; then somebody decides.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from sledsaga.check.simulation.operations import Order
from sledsaga.check.simulation.weather import happens
from sledsaga.core.bind import bind
from sledsaga.core.commands import VERBS, Command, Verb, allowed, allowed_for
from sledsaga.core.dag import Plan
from sledsaga.core.define import Operation
from sledsaga.core.plan import plan
from sledsaga.engine.messages import Decide, Decision, Submit, Submitted, Wait
from sledsaga.errors import KeyConflict, LogUnavailable, SledsagaError, UnknownOperation

if TYPE_CHECKING:
    from sledsaga.check.simulation.life import Life
    from sledsaga.check.simulation.shadow import Told
    from sledsaga.check.simulation.world import World

RESOURCES = "abcdefgh"
ORDERS_A_SECOND = 60.0
ROUNDS = 40
NAMES = ("key", "key", "key", "id", "none")


@dataclass(slots=True, eq=False)
class Wish:
    """One saga that somebody wants, by a key, an own id, or neither; `saga` is what it came to be."""

    operation: Operation
    plan: Plan
    key: str | None
    own_id: str | None
    saga: str = ""


@dataclass(slots=True, eq=False)
class People:
    """All who talk to executors."""

    world: World
    wishes: list[Wish] = field(default_factory=list)

    def come(self, sagas: int) -> float:
        """Have so many sagas be asked for, and talked to; return until when."""
        span_s, dice = sagas / ORDERS_A_SECOND, self.world.dice
        for number in range(sagas):
            self.world.later(dice.random() * span_s, partial(self._order, number))
        for _ in range(int(sagas * self.world.weather.command)):
            self.world.later(0.05 + dice.random() * span_s * 1.2, self._command)
        return span_s

    def _order(self, number: int) -> None:
        dice = self.world.dice
        is_narrow = self.world.ground is None or happens(dice, 0.95)
        known = [one for one in self.world.operations if one.name.startswith("op-") is is_narrow]
        operation = dice.choice(known)
        wish = Wish(operation, plan(operation, self._params(number)), None, None)
        match dice.choice(NAMES):
            case "key":
                wish.key = f"key-{number}"
            case "id":
                wish.own_id = self._id()
        self.wishes.append(wish)
        is_impatient = bool(wish.key or wish.own_id) and happens(dice, 0.1)
        for _ in range(3 if is_impatient else 1):
            self._submit(wish)

    def _params(self, number: int) -> Order:
        dice = self.world.dice
        is_alone = not self.world.weather.overlap  # one executor a log hands out resources
        resources = sorted(dice.sample(RESOURCES, dice.choice((0, 0, 0, 1, 2) if is_alone else (0,))))
        return Order(
            number=number,
            resources=tuple(resources),
            is_shared=happens(dice, 0.5),
            width=dice.choice((1, 2, 4)),
        )

    def _id(self) -> str:
        milliseconds, dice = int(self.world.wall() * 1000), self.world.dice
        text = f"{milliseconds:012x}7{dice.getrandbits(12):03x}8{dice.getrandbits(60):015x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def _submit(self, wish: Wish, digest: str = "") -> None:
        """Submit; `digest` stands for a wish that is another one under the same name."""
        life = self._somebody()
        if life is None:
            self.world.later(0.2, partial(self._submit, wish, digest))
            return
        dag = wish.plan.dag
        try:
            bound = bind(life.catalog.get(dag.operation, dag.version), wish.plan)
        except UnknownOperation:
            self.world.later(0.5, partial(self._submit, wish, digest))
            return
        body = digest or f"{dag.operation} {wish.plan.params}"
        saga, has_own_id = wish.own_id or self._id(), wish.own_id is not None
        asked = Submit(saga, has_own_id, wish.plan, bound, wish.key, body, "somebody", Future())
        life.ask(asked, partial(self._told_wrong if digest else self._told, wish))

    def _somebody(self) -> Life | None:
        """Return an executor to talk to: the newest, or one that is thought to be dead."""
        lives = [life for life in self.world.lives if not life.is_dead]
        if not lives:
            return None
        return self.world.dice.choice(lives) if happens(self.world.dice, 0.5) else lives[-1]

    def _told(self, wish: Wish, answer: Submitted | None, error: SledsagaError | None) -> None:
        if answer is None:
            if error is not None and isinstance(error, KeyConflict):
                self.world.blame("", f"key {wish.key} was refused to the one who has it: {error}")
            elif wish.key or wish.own_id:
                self.world.later(0.1 + self.world.dice.random(), partial(self._submit, wish))
            return
        saga = answer.saga
        if saga not in self.world.shadow.sagas:
            self.world.blame(saga, "it was said to be recorded, and is not in the log")
        elif wish.saga not in ("", saga):
            self.world.blame(saga, f"{wish.key or wish.own_id} is this saga now; it was {wish.saga}")
        wish.saga = saga
        self._talk_on(wish)

    def _talk_on(self, wish: Wish) -> None:
        dice, is_named = self.world.dice, bool(wish.key or wish.own_id)
        if is_named and happens(dice, 0.2):
            self.world.later(dice.random() * 4.0, partial(self._submit, wish))
        if is_named and happens(dice, 0.05):
            self.world.later(dice.random() * 2.0, partial(self._submit, wish, "another body"))
        if happens(dice, 0.3):
            self.world.later(dice.random(), partial(self._wait, wish.saga))

    def _told_wrong(self, wish: Wish, answer: Submitted | None, _error: SledsagaError | None) -> None:
        if answer is not None:
            self.world.blame(answer.saga, f"another body was taken under {wish.key or wish.own_id}")

    def _wait(self, saga: str) -> None:
        life = self._somebody()
        if life is not None:
            asked = Wait(saga, Future())
            life.ask(asked, partial(self._waited, saga))
            if happens(self.world.dice, 0.3):
                self.world.later(self.world.dice.random(), asked.reply.cancel)

    def _waited(self, saga: str, answer: object, _error: SledsagaError | None) -> None:
        self.world.count["waits"] += 1
        if answer is not None and not self.world.shadow.sagas[saga].state.at_rest:
            self.world.blame(saga, "it was said to rest, and does not")

    def _command(self) -> None:
        told, life = self._some_open(), self._somebody()
        if told is None or life is None:
            return
        saga, about = told
        dice = self.world.dice
        verb = dice.choice(VERBS if happens(dice, 0.3) else allowed(about.state) or VERBS)
        steps = [i for i in range(len(about.state.status)) if verb in allowed_for(about.state, i)]
        place = dice.choice(steps) if steps and (verb == "skip" or happens(dice, 0.5)) else None
        if verb == "skip" and place is None:
            place = 0
        expect = about.state.seq - dice.choice((0, 0, 1)) if happens(dice, 0.2) else None
        self._say(life, saga, verb, place, expect=expect, dry_run=happens(dice, 0.1))

    def _some_open(self) -> tuple[str, Told] | None:
        for _ in range(10):
            wish = self.world.dice.choice(self.wishes) if self.wishes else None
            if wish is not None and wish.saga in self.world.shadow.open:
                return wish.saga, self.world.shadow.open[wish.saga]
        return None

    def _say(
        self, life: Life, saga: str, verb: Verb, place: int | None, *, expect: int | None, dry_run: bool
    ) -> None:
        told = self.world.shadow.sagas[saga]
        path = None if place is None else told.plan.dag.steps[place].path
        self.world.count["commands"] += 1
        reason = f"c{self.world.count['commands']}"
        output = float("nan") if happens(self.world.dice, 0.05) else f"{saga}/given"
        command = Command(verb, "somebody", reason, step=path, output=output)
        heard = partial(self._said, saga, reason, is_dry=dry_run)
        if dry_run:
            self.world.shadow.refused.add(reason)
        life.ask(Decide(saga, command, expect, dry_run, Future()), heard)

    def _said(
        self, saga: str, reason: str, answer: Decision | None, error: SledsagaError | None, *, is_dry: bool
    ) -> None:
        log = self.world.shadow.sagas[saga].log
        is_there = any(getattr(one.event, "reason", None) == reason for one in log)
        if answer is not None and not is_dry:
            self.world.count["accepted"] += 1
            if not is_there:
                self.world.blame(saga, f"command {reason} was accepted, and is not in the log")
        elif error is not None and not isinstance(error, LogUnavailable):
            self.world.shadow.refused.add(reason)
            if is_there:
                self.world.blame(saga, f"command {reason} was refused, and is in the log: {error}")

    def decide(self, turn: int) -> int:
        """Decide for every saga that rests without having ended; return how many did."""
        decided, in_line = 0, self._in_line()
        for saga, told in list(self.world.shadow.open.items()):
            state = told.state
            if not state.at_rest:
                if saga not in in_line:
                    self.world.blame(saga, "it neither ends, nor goes on, nor waits for a named decision")
                continue
            verbs = allowed(state)
            if not verbs:
                self.world.blame(saga, "it rests, and nothing can be decided")
                continue
            self._decide_one(saga, told, verbs, turn)
            decided += 1
        return decided

    def _decide_one(self, saga: str, told: Told, verbs: tuple[Verb, ...], turn: int) -> None:
        dice = self.world.dice
        if turn > ROUNDS // 2:
            ways: list[Verb] = ["abandon"]
        else:
            ways = [
                verb for verb in verbs if verb not in ("pause", "cancel", "abandon") or happens(dice, 0.1)
            ]
        verb = dice.choice(ways or list(verbs))
        steps = [i for i in range(len(told.state.status)) if verb in allowed_for(told.state, i)]
        place = dice.choice(steps) if verb == "skip" else None
        self.world.count["decisions"] += 1
        self._say(self.world.lives[-1], saga, verb, place, expect=told.state.seq, dry_run=False)

    def _in_line(self) -> set[str]:
        """Return the sagas that wait for a resource of one that rests, or of one that waits so itself."""
        open_ones = self.world.shadow.open
        wants = {saga: {lock.resource for lock in told.plan.locks} for saga, told in open_ones.items()}
        taken = {one for saga, told in open_ones.items() if told.state.at_rest for one in wants[saga]}
        waiting = {saga for saga, told in open_ones.items() if told.state.has_locks and not told.state.locked}
        found = set[str]()
        while more := {saga for saga in waiting - found if wants[saga] & taken}:
            found |= more
            taken |= {one for saga in more for one in wants[saga]}
        return found
