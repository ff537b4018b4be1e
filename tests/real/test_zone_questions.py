"""What a zone is asked, on a real machine, and what becomes of a question that is never answered."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sledsaga.check.room import Room
from sledsaga.errors import Transient
from tests.real.zone_ground import Ground, laid, standing
from tests.tiers import skip_tier


@pytest.fixture(scope="module")
def ground(room: Room) -> Iterator[Ground]:
    if shutil.which("crun") is None:
        skip_tier("native", "install crun")
    with laid(room) as ground:
        yield ground


def test_a_question_that_hangs(ground: Ground) -> None:
    """A probe inside a zone that does not end is ended in time; the zone is not ready, nor in step."""
    hangs = ["/usr/bin/sleep", "60.125"]
    image = ground.image(health={"run": ["/usr/bin/true"]}, inside=[{"run": hangs}], time=hangs)
    with standing(ground, ground.spec(image)) as spec:
        ground.zones.ensure(spec)
        with pytest.raises(Transient, match=r"not ready after .* s: `/usr/bin/sleep` did not end within 5 s"):
            ground.services.wait_ready(spec.name, timeout_s=0.25)
        assert not ground.services.is_time_in_step(spec.name)
        assert b"/usr/bin/sleep\x0060.125\0" not in command_lines()
    assert ground.left() == {}


def command_lines() -> Iterator[bytes]:
    """Yield the command line of each process, NULs and all; that of a dead one is empty."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield file.read_bytes()
