"""The judge of power cuts notices what it is for, one planted mistake at a time; no machine is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.blackout.cuts import moments
from tests.blackout.judge import Witness, judge_found, judge_rest
from tests.blackout.orders import heard
from tests.blackout.work import Told, find_work

WORK = find_work("furnish")
KEPT = ["tank/shelf0", "tank/shelf0/left", "tank/shelf0/right", "/tank/shelf0/left/number=0"]
Plant = Callable[[Told], object]


def witness() -> Witness:
    """Return one who has heard of two events and one call."""
    made = Witness()
    for seq, digest in ((1, "a"), (2, "b")):
        made.hear({"kind": "ack", "saga": "s", "seq": seq, "digest": digest})
    made.hear({"kind": "begin", "saga": "s", "step": "shelf", "direction": "do"})
    return made


def found() -> Told:
    """Return what the machine of that witness tells after the cut, when all is well."""
    saga: dict[str, Any] = {"id": "s", "operation": "furnish", "params": {"number": 0, "fails": False}}
    saga |= {"digests": ["a", "b", "c"], "begun": [["shelf", "do"]], "kept": ["shelf"]}
    return {
        "sagas": [saga],
        "there": ["tank", "tank/shelf0"],
        "integrity": "ok",
        "health": "no pools available",
    }


def rest() -> Told:
    """Return how that machine is at rest, when all is well."""
    sagas = [
        {"operation": "furnish", "params": {"number": 0, "fails": False}, "state": "succeeded"},
        {"operation": "furnish", "params": {"number": 1, "fails": True}, "state": "undone"},
    ]
    told: Told = {"sagas": [saga | {"breaches": [], "errors": []} for saga in sagas]}
    return told | {"there": ["tank", *KEPT], "integrity": "ok", "health": "all pools are healthy"}


def test_what_is_well_is_not_accused() -> None:
    """Events, calls and datasets that go beyond what was told are no fault."""
    assert judge_found(WORK, witness(), found()) == []
    assert judge_rest(WORK, rest()) == []


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda told: told["sagas"].clear(), "was acknowledged, and is not in the log"),
        (lambda told: told["sagas"][0]["digests"].__setitem__(1, "x"), "event 2 of s was acknowledged"),
        (
            lambda told: told["sagas"][0]["begun"].clear(),
            "do of shelf began, and the log of s does not say so",
        ),
        (
            lambda told: told["there"].remove("tank/shelf0"),
            "tank/shelf0 is done by the log, and is not there",
        ),
        (lambda told: told.update(integrity="row 7 missing"), "the log's file is damaged: row 7 missing"),
        (lambda told: told.update(health="pool: tank"), "a pool is not healthy: pool: tank"),
    ],
)
def test_what_a_cut_has_taken_is_noticed(plant: Plant, said: str) -> None:
    """A lost or another event, an unrecorded call, a lost dataset, damage: each is told."""
    told = found()
    plant(told)
    assert any(said in sentence for sentence in judge_found(WORK, witness(), told))


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda told: told["there"].append("tank/shelf1"), "tank/shelf1 is left over"),
        (lambda told: told["there"].remove("tank/shelf0/right"), "tank/shelf0/right is missing"),
        (lambda told: told["there"].remove(KEPT[-1]), "number=0 is missing"),
        (lambda told: told["sagas"][1].update(state="stuck"), "is stuck, expected ['undone']"),
        (lambda told: told["sagas"][0]["breaches"].append("rule 1"), "rule 1"),
    ],
)
def test_what_is_in_between_at_rest_is_noticed(plant: Plant, said: str) -> None:
    """A dataset or file too many or too few, a saga at another end, a broken rule: each is told."""
    told = rest()
    plant(told)
    assert any(said in sentence for sentence in judge_rest(WORK, told))


def test_moments_come_of_the_seed_and_are_of_all_phases() -> None:
    """The same seed gives the same moments, each phase has some, and every third one or so is in recovery."""
    many = moments(0, 24)
    assert many == moments(0, 24)
    assert {moment.phase for moment in many} == {"do", "undo", "recovery", "commit"}
    assert sum(moment.phase == "recovery" for moment in many) >= len(many) // 3


def test_only_whole_messages_are_heard() -> None:
    """What the kernel says, and a line that it has broken into, is no message."""
    lines = ('@@ {"kind":"ack"}', "EXT4-fs (ubdb): recovery complete", '@@ {"kind":"a EXT4-fs', "@@ 7")
    assert [heard(line) for line in lines] == [{"kind": "ack"}, None, None, None]
