"""What a command said: the one place where exit codes become values or errors.

Rules
- Exit code 0 is yes. Any other is CommandFailed with the command line and the first line it printed,
  unless the driver's own literal table says that this text means "so already" or "not there".
- A ZFS daemon that is not there, or went away meanwhile, is HostUnreachable: it may have done it.
- Absent is never guessed from a mere failure: only from a text in a driver's table.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from sledsaga.errors import CommandFailed, HostUnreachable
from sledsaga.hosts.host import Completed, Host, HostCommand

LOST = ("make sure that the zfs-fuse daemon is running", "zfsfuse_ioctl_read_loop")
"""What the tools of zfs-fuse say, among other things, when nobody serves them."""
Pause = Callable[[float], None]
"""Waits the seconds given, or raises when the step was cancelled meanwhile."""
Monotonic = Callable[[], float]
"""Tells the time in seconds, on a clock that only rises."""


def looks(*argv: str) -> HostCommand:
    """Build a command that changes nothing."""
    return HostCommand(argv, mutates=False)


def changes(*argv: str, stdin: bytes | None = None) -> HostCommand:
    """Build a command that changes the machine."""
    return HostCommand(argv, mutates=True, stdin=stdin)


def failed(done: Completed) -> CommandFailed | HostUnreachable:
    """Build the error for a command that said no, or whose daemon was not there to do it."""
    if any(text in done.stderr for text in LOST):
        return HostUnreachable(
            f"`{shlex.join(done.argv)}`: the zfs-fuse daemon went away or does not run; start it and retry"
        )
    said = (done.stderr.strip() or done.stdout.strip() or "(nothing)").splitlines()[0]
    return CommandFailed(f"`{shlex.join(done.argv)}` ended with {done.code}, expected 0; it said: {said}")


def says(done: Completed, texts: tuple[str, ...]) -> bool:
    """Whether a failed command printed one of these texts."""
    return done.code != 0 and any(text in done.stderr for text in texts)


def require(host: Host, command: HostCommand) -> str:
    """Run and return what was printed. Raises CommandFailed."""
    done = host.run(command)
    if done.code != 0:
        raise failed(done)
    return done.stdout


def attempt(host: Host, command: HostCommand, tolerated: tuple[str, ...]) -> bool:
    """Run; False when it failed with one of the tolerated texts. Raises CommandFailed for any other."""
    done = host.run(command)
    if says(done, tolerated):
        return False
    if done.code != 0:
        raise failed(done)
    return True


def lookup(host: Host, command: HostCommand, absent: tuple[str, ...]) -> str | None:
    """Run and return what was printed, or None when it said one of the absent texts. Raises CommandFailed."""
    done = host.run(command)
    if says(done, absent):
        return None
    if done.code != 0:
        raise failed(done)
    return done.stdout


def looks_within(timeout_s: float, every_s: float, *, pause: Pause, monotonic: Monotonic) -> Iterator[None]:
    """Yield for each look until the time is over: at once, then after each pause, and a last time at the end.

    However long a look takes, none is begun after the last.
    """
    ends_at = monotonic() + timeout_s
    yield
    while (left := ends_at - monotonic()) > 0:
        pause(min(every_s, left))
        yield
