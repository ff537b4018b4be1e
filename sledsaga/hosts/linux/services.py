"""Whether a zone does what it is for, on Linux: by the probes of its image.

- A zone has one service, its first process. What restarts it is whoever wants the zone: when the service has
  ended the zone is down, waiting for it ends at once with the last lines of its log, and `ensure` boots it.
- `health` is asked from outside, as users of the service would; so "ready" means that it answers the network.
- Waiting is done by the `pause` given, which ends when the step is cancelled; nothing sleeps here. For how
  long is told by the clock `monotonic`: a question that was begun in time may take PROBE_S more.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sledsaga.errors import CommandFailed, CommandTimedOut, Transient
from sledsaga.hosts import chrony
from sledsaga.hosts.answer import Monotonic, Pause, looks, looks_within
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.linux import clock
from sledsaga.hosts.linux.containers import Containers, died
from sledsaga.hosts.linux.image import Probe, ZoneImage, filled, image_words
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.profiles import parse_profile
from sledsaga.hosts.linux.records import Records
from sledsaga.hosts.linux.roots import PROFILE, Roots
from sledsaga.hosts.linux.runtime import PROBE_S

EVERY_S: Final = 0.25
"""Between two questions to a service that is not ready."""


@dataclass(frozen=True, slots=True)
class ZoneServices:
    """The services of one machine's zones."""

    host: Host
    pause: Pause
    machine: Machine
    monotonic: Monotonic = time.monotonic

    def wait_ready(self, zone: str, *, timeout_s: float) -> None:
        """Wait until a zone's service answers as it should.

        Raises Transient (not in time), CommandFailed (its service has ended, or it was never booted).
        """
        path, image = self._image(zone)
        said = "it was not asked"
        for _ in looks_within(timeout_s, EVERY_S, pause=self.pause, monotonic=self.monotonic):
            self._refuse_dead(zone, path)
            said = self._ask_all(zone, image)
            if not said:
                return
        raise Transient(f"zone {zone} is not ready after {timeout_s:g} s: {said}")

    def is_time_in_step(self, zone: str) -> bool:
        """Say whether the clock follows its source: the zone's, or the kernel's when it keeps none.

        False when it cannot be asked. Raises CommandFailed, Unparsable.
        """
        _, image = self._image(zone)
        if image.time is None:
            done = self.host.run(show_clock())
            return done.code == 0 and done.stdout.strip() == clock.IN_STEP
        text = self._containers.ask_inside(zone, image.time, uid=image.uid, gid=image.gid)
        return text is not None and chrony.is_in_step(text)

    @property
    def _containers(self) -> Containers:
        return Containers(self.host, self.machine, self.pause)

    def _image(self, zone: str) -> tuple[str, ZoneImage]:
        """Return the path of a zone and its image, with its words put in."""
        document = Records(self.host, self.machine).read(zone)
        if document is None:
            raise CommandFailed(f"zone {zone} is not configured, so no service of it can come up")
        spec = document.spec
        data = self.host.read_file(f"{spec.path}/{PROFILE}")
        profile = spec.profile if data is None else parse_profile(data)
        return spec.path, filled(Roots(self.host).image(spec.path), image_words(zone, profile))

    def _refuse_dead(self, zone: str, path: str) -> None:
        container = self._containers.observe(zone)
        status = "not booted" if container is None else container.status
        if status not in ("running", "paused"):
            raise died(zone, status, Roots(self.host).log_tail(path))

    def _ask_all(self, zone: str, image: ZoneImage) -> str:
        """Ask every probe; returns what was wrong with the first answer that was wrong, or nothing."""
        wrong = self._ask(ask_outside(image.health), image.health)
        for probe in image.inside:
            inside = self._containers.runtime.inside(zone, *probe.run, uid=image.uid, gid=image.gid)
            wrong = wrong or self._ask(inside, probe)
        return wrong

    def _ask(self, command: HostCommand, probe: Probe) -> str:
        try:
            done = self.host.run(command)
        except CommandTimedOut:
            return f"`{probe.run[0]}` did not end within {PROBE_S:g} s"
        said = (done.stderr.strip() or done.stdout.strip() or "(nothing)").splitlines()[0]
        if done.code != 0:
            return f"`{probe.run[0]}` ended with {done.code} and said: {said}"
        if probe.expect is not None and done.stdout.strip() != probe.expect:
            return f"`{probe.run[0]}` said {said[:80]!r}, expected {probe.expect!r}"
        return ""


def ask_outside(probe: Probe) -> HostCommand:
    """Ask a probe on the machine; it may take PROBE_S seconds."""
    return HostCommand(probe.run, mutates=False, timeout_s=PROBE_S)


def show_clock() -> HostCommand:
    """Ask the kernel whether its clock is in step."""
    return looks(sys.executable, "-I", "-S", str(Path(clock.__file__)))
