"""Drive the real machine by hand, without engine, store or host: for scenarios and for shapes of DAGs.

saga = Driven(shape({"a": "", "b": "a"}))
saga.claim(); saga.end("a", Succeeded(1)); saga.running  # ["do b"]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from sledsaga.core import events as ev
from sledsaga.core.commands import Command, Verb, decide
from sledsaga.core.dag import Dag, DagStep, Policy, UndoKind, make_dag
from sledsaga.core.endings import Ending, Succeeded, Undone, conclude
from sledsaga.core.machine import apply, new_state
from sledsaga.core.ready import ready
from sledsaga.core.state import State

PLAIN = Policy()


def shape(
    needs: Mapping[str, str],
    *,
    undo: Mapping[str, UndoKind] | None = None,
    policy: Policy | Mapping[str, Policy] = PLAIN,
) -> Dag:
    """Make a DAG of `{step: "the steps that it needs"}`, in topological order, without any code."""
    index = {path: place for place, path in enumerate(needs)}
    steps = []
    for path, above in needs.items():
        kind: UndoKind = (undo or {}).get(path, "undo")
        own = policy if isinstance(policy, Policy) else policy.get(path, PLAIN)
        why = "" if kind == "undo" else "so it is"
        steps.append(
            DagStep(path, tuple(sorted(index[need] for need in above.split())), (), kind, why, policy=own)
        )
    return make_dag("shape", 1, tuple(steps))


def all_shapes(size: int) -> Iterator[dict[str, str]]:
    """Yield every DAG of `size` steps, as needs that no other need implies."""
    names = "abcdefgh"[:size]
    choices = [[frozenset(_chosen(names[:i], bits)) for bits in range(2**i)] for i in range(size)]
    for needs in product(*choices):
        above: dict[str, set[str]] = {}
        for name, direct in zip(names, needs, strict=True):
            above[name] = set(direct).union(*(above[need] for need in direct))
        if all(need not in above[other] for direct in needs for need in direct for other in direct):
            yield {name: " ".join(sorted(direct)) for name, direct in zip(names, needs, strict=True)}


def _chosen(names: str, bits: int) -> Iterator[str]:
    return (name for place, name in enumerate(names) if bits >> place & 1)


@dataclass(slots=True, eq=False)
class Driven:
    """A saga whose log is written by hand, and whose machine says what must run."""

    dag: Dag
    has_locks: bool = False
    now: float = 0.0
    log: list[ev.Recorded] = field(default_factory=list)
    state: State = field(init=False)

    def __post_init__(self) -> None:
        """Submit the saga, or replay the log that was given."""
        self.state = new_state(self.dag, has_locks=self.has_locks)
        for recorded in self.log:
            apply(self.state, recorded)
        if not self.log:
            self.tell(ev.Submitted("someone"))

    @property
    def running(self) -> list[str]:
        """What must be in flight, as `do path` and `undo path`, in the order of the DAG."""
        calls = self.state.run.values()
        return [f"{c.direction} {self.dag.steps[c.step].path}" for c in sorted(calls, key=lambda c: c.step)]

    @property
    def status(self) -> dict[str, str]:
        """Where each step stands."""
        return {
            step.path: status.value for step, status in zip(self.dag.steps, self.state.status, strict=True)
        }

    def index(self, path: str) -> int:
        """Return the index of a step; raises KeyError when there is none."""
        index = self.dag.index(path)
        if index is None:
            raise KeyError(path)
        return index

    def tell(self, *events: ev.Event) -> None:
        """Let events happen, and nothing else; raises LogCorrupt."""
        for event in events:
            epoch = self.state.epoch + isinstance(event, ev.Claimed)
            recorded = ev.Recorded(self.state.seq + 1, self.now, epoch, event)
            apply(self.state, recorded)
            self.log.append(recorded)

    def settle(self) -> list[ev.Event]:
        """Record what the machine wants recorded until it wants nothing more; return it."""
        told: list[ev.Event] = []
        while record := ready(self.state, self.now).record:
            self.tell(*record)
            told += record
        return told

    def claim(self) -> list[ev.Event]:
        """Let an executor take the saga over (the first one, or another after a crash)."""
        self.tell(ev.Claimed("someone"))
        return self.settle()

    def end(self, path: str, ending: Ending) -> list[ev.Event]:
        """Let the call that a step has in flight end; return what is recorded after it."""
        self.tell(conclude(self.state, self.state.in_flight[self.index(path)], ending, self.now))
        return self.settle()

    def say(self, verb: Verb, step: str | None = None, output: ev.Json = None) -> list[ev.Event]:
        """Let a person give a command; raises Refused, NotFound."""
        self.tell(*decide(self.state, Command(verb, "someone", "why not", step, output)))
        return self.settle()

    def wait(self, seconds: float) -> list[ev.Event]:
        """Let time pass."""
        self.now += seconds
        return self.settle()

    def go(self, how: Mapping[str, Ending] | None = None, *, order: Iterable[str] = ()) -> None:
        """Let every call end until nothing runs: as `how` says for `do path`, `undo path`, else well.

        Calls end in the order of the DAG, but those in `order` first.
        """
        first = {call: place for place, call in enumerate(order)}
        while self.running:
            call = min(self.running, key=lambda name: first.get(name, len(first)))
            direction, _, path = call.partition(" ")
            self.end(path, (how or {}).get(call, Undone() if direction == "undo" else Succeeded(path)))

    def transcript(self) -> list[str]:
        """Return the log as lines: the kind of event, and the path of its step."""
        return [_line(self.dag, recorded.event) for recorded in self.log]


def _line(dag: Dag, event: ev.Event) -> str:
    step = getattr(event, "step", None)
    return type(event).__name__ if step is None else f"{type(event).__name__} {dag.steps[step].path}"
