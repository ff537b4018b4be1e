"""What must be so after a cut: everything that was told outside, in the log and in the pool alike.

Rules
- The witness is outside the machine: it keeps what was told before the cut, and nothing else counts.
- Before recovery: each acknowledged event stands at its place, each call that began was recorded before,
  and what the log calls done is in the pool.
- At rest: each saga has ended as it should, and the pool holds exactly what those ends say.
- Each function returns sentences; no sentence means that all is well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.blackout.work import Told, Work

HEALTHY: Final = ("all pools are healthy", "no pools available")


@dataclass(slots=True)
class Witness:
    """What a machine has told before its power was cut."""

    acks: dict[tuple[str, int], str] = field(default_factory=dict)
    begun: set[tuple[str, str, str]] = field(default_factory=set)

    def hear(self, told: Told) -> None:
        """Take down one message."""
        if told["kind"] == "ack":
            self.acks[told["saga"], told["seq"]] = told["digest"]
        if told["kind"] == "begin":
            self.begun.add((told["saga"], told["step"], told["direction"]))


def lost(witness: Witness, found: Told) -> list[str]:
    """Return the acknowledged events that are not in the log as they were."""
    logs = {saga["id"]: saga["digests"] for saga in found["sagas"]}
    return [
        f"event {seq} of {saga} was acknowledged, and is not in the log"
        for (saga, seq), digest in witness.acks.items()
        if logs.get(saga, [])[seq - 1 : seq] != [digest]
    ]


def judge_found(work: Work, witness: Witness, found: Told) -> list[str]:
    """Judge what a cut has left, before anything is recovered."""
    recorded = {(saga["id"], step, way) for saga in found["sagas"] for step, way in saga["begun"]}
    unknown = sorted(witness.begun - recorded)
    told = [f"{way} of {step} began, and the log of {saga} does not say so" for saga, step, way in unknown]
    kept = {work.made(saga, step) for saga in found["sagas"] for step in saga["kept"]} - {""}
    missing = sorted(kept - set(found["there"]))
    told += [f"{name} is done by the log, and is not there: {found['there']}" for name in missing]
    return [*lost(witness, found), *told, *_disk(found)]


def judge_rest(work: Work, rest: Told) -> list[str]:
    """Judge how everything is once nothing goes on."""
    told = [sentence for saga in rest["sagas"] for sentence in _end(work, saga)]
    done = (saga for saga in rest["sagas"] if saga["state"] == "succeeded")
    expected = work.begin.union(*(work.leaves(saga) for saga in done))
    told += [f"{name} is left over" for name in sorted(set(rest["there"]) - expected)]
    told += [f"{name} is missing" for name in sorted(expected - set(rest["there"]))]
    return [*told, *_disk(rest)]


def _end(work: Work, saga: Told) -> Iterator[str]:
    expected = work.ends(saga)
    if saga["state"] not in expected:
        name = f"{saga['operation']} {saga['params']}"
        yield f"{name} is {saga['state']}, expected {sorted(expected)}: {saga['errors']}"
    yield from saga["breaches"]


def _disk(told: Told) -> Iterator[str]:
    if told["integrity"] != "ok":
        yield f"the log's file is damaged: {told['integrity']}"
    if told["health"] not in HEALTHY:
        yield f"a pool is not healthy: {told['health']}"
