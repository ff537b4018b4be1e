"""The peers as sides of one case: each at several numbers of sagas at once, in turn with ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.cases import Case, Row, Side, at_least
from bench.child import Place
from bench.operations import STEPS
from bench.peers.install import install
from bench.rounds import run_child
from bench.sizes import FULL

HERE: Final = Path(__file__).parent
TIMES_FASTER: Final = 20
TIMEOUT_S: Final = 60
KINDS: Final = (("threads", "def"), ("async", "async def"))
TRIALS: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "dbos": ((1, 100), (8, 100)),
    "taskflow": ((1, 12),),
    "edda": ((1, 50), (32, 50)),
    "restate": ((32, 600), (128, 1000), (256, 1000)),
}
"""How many sagas at once, and how many in all: a few seconds each."""


def run(place: Place, peer: str, at_once: int, sagas: int, *, left_out: str | None) -> dict[str, Any]:
    """Measure one peer at one number of sagas at once, unless it is left out for a reason."""
    if left_out is not None:
        return {"skipped": left_out}
    installed = install(peer)
    sagas = sagas if place.sizes is FULL else 4
    asked = {"folder": place.own, "sagas": sagas, "steps": STEPS, "at-once": at_once}
    flags = [text for name, value in asked.items() for text in (f"--{name}", str(value))]
    argv = [str(installed.python), str(HERE / f"{peer}_sagas.py"), *flags]
    return run_child(argv, TIMEOUT_S, installed.environment) | {"version": installed.version}


def case(left_out: Mapping[str, str | None]) -> Case:
    """Return ours and these peers, to be measured in turn; with each, why it is left out, if it is."""
    trials = {
        f"{peer} {at_once}": Side(
            f"{peer} {at_once}",
            "bench.peers.run:run",
            {"peer": peer, "at_once": at_once, "sagas": sagas, "left_out": why},
        )
        for peer, why in left_out.items()
        for at_once, sagas in TRIALS[peer]
    }
    ours = [
        Side(f"{name}{cores}", f"bench.{module}:best", {"operation": name})
        for name, _ in KINDS
        for module, cores in (("chains", ""), ("cores", " on all cores"))
    ]
    names = tuple(f"{name}.steps/s" for name in trials)
    rows = [
        Row(f"async def; {name} at once", "async.steps/s", f"{name}.steps/s", None, "steps/s")
        for name in trials
    ]
    rows += [
        Row(f"5 steps, {word}; the best peer", f"{kind}.steps/s", names, at_least(TIMES_FASTER), "steps/s")
        for kind, word in KINDS
    ]
    rows += [
        Row(
            f"{word}, an executor a core; the best peer",
            f"{kind} on all cores.steps/s",
            names,
            None,
            "steps/s",
        )
        for kind, word in KINDS
    ]
    prepare = Side("trials", "bench.chains:try_concurrencies")
    return Case("peers", (*ours, *trials.values()), tuple(rows), prepare=prepare, rounds=3)
