"""What a zone is asked on a real machine: whether it is ready, and what time it is; and no answer at all."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sledsaga.check.room import Room
from sledsaga.errors import Transient
from sledsaga.hosts.zone import ServiceProfile
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


def test_a_wait_is_time_on_a_clock(ground: Ground) -> None:
    """However many questions that is: here each look at the clock takes a second of the three there are."""
    waits: list[float] = []
    clock = map(float, itertools.count())
    services = replace(ground.services, pause=waits.append, monotonic=lambda: next(clock))
    image = ground.image(health={"run": ["/usr/bin/false"]})
    with standing(ground, ground.spec(image)) as spec:
        ground.zones.ensure(spec)
        with pytest.raises(Transient, match="not ready after 3 s: `/usr/bin/false` ended with 1"):
            services.wait_ready(spec.name, timeout_s=3.0)
    assert waits == [0.25, 0.25]


def test_the_clock(ground: Ground) -> None:
    """A zone with a time probe is in step when its daemon says so; without one the kernel is asked."""
    tracking = "A9FEA97B,169.254.169.123,4,1.0,0.1,0.1,0.1,-22.0,0.0,0.1,0.1,0.1,16.4,{}\n"
    for leap, expected in (("Normal", True), ("Not synchronised", False)):
        image = ground.image(
            files={"/etc/responder/zone": "{zone}\n", "/etc/tracking": tracking.format(leap)},
            time=["/usr/bin/cat", "/etc/tracking"],
        )
        with standing(ground, ground.spec(image)) as spec:
            ground.zones.ensure(spec)
            assert ground.services.is_time_in_step(spec.name) is expected
            ground.zones.halt(spec.name)
            assert not ground.services.is_time_in_step(spec.name)
    assert ground.left() == {}


def test_time_is_served(ground: Ground) -> None:
    """An NTP zone serves the time on its port below 1024, without rights, and says that it is in step."""
    if missing := [path for path in ("/usr/sbin/chronyd", "/usr/bin/chronyc") if not Path(path).exists()]:
        skip_tier("native", f"install chrony ({missing[0]})")
    spec = ground.spec(ground.image("chrony"))
    assert spec.profile is not None
    listen = (("listen_addr", spec.profile.network.address), ("listen_port", "123"))
    profile = replace(spec.profile, services=(ServiceProfile("ntp", listen),))
    with standing(ground, replace(spec, profile=profile)) as spec:
        ground.boot(spec)
        assert ground.services.is_time_in_step(spec.name)
    assert ground.left() == {}


def command_lines() -> Iterator[bytes]:
    """Yield the command line of each process, NULs and all; that of a dead one is empty."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield file.read_bytes()
