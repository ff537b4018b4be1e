"""How long one waits is time on a clock, whatever each look takes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from sledsaga.errors import Transient
from sledsaga.hosts.answer import looks_within
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.illumos.services import SmfServices
from sledsaga.hosts.local import LocalHost


@dataclass
class World(LocalHost):
    """A machine on which nothing comes up, and a clock that rises by waiting and by looking alone."""

    look_s: float = 0.0
    now: float = 100.0
    begun_at: list[float] = field(default_factory=list)

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        assert cancel is None
        self.begun_at.append(self.now - 100.0)
        self.now += self.look_s
        return Completed(command.argv, 0, "offline\n")

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("look_s", "begun_at"),
    [
        (0.0, [0.0, 0.5, 1.0, 1.5, 2.0]),
        (0.5, [0.0, 1.0, 2.0]),
        (60.0, [0.0]),
    ],
)
def test_a_wait_is_as_long_as_was_said(look_s: float, begun_at: list[float]) -> None:
    """Quick looks are made to the very end; slow ones are fewer, and none begins after the end."""
    world = World(look_s=look_s)
    with pytest.raises(Transient, match=r"is offline after 2.0 s"):
        SmfServices(world, world.pause, lambda: world.now).wait_ready("z", timeout_s=2.0)
    assert world.begun_at == begun_at


def test_one_look_is_always_made() -> None:
    """Who has no time at all looks once, and does not wait."""
    world = World()
    looks = looks_within(0.0, 0.5, pause=world.pause, monotonic=lambda: world.now)
    assert len(list(looks)) == 1
    assert world.now == 100.0
