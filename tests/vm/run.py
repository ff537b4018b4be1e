"""`make test-vm`: boots the guest, built first when there is none, and runs the tests of `inside` in it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.vm import recipe
from tests.vm.build import build
from tests.vm.guest import Guest, GuestError, make_disk
from tests.vm.project import pack_project

LIMIT_S = 3600.0
DISKS = 3


def find() -> recipe.Built:
    """Return the guest, built when it is not there. Raises GuestError when it cannot be."""
    if missing := recipe.missing_packages():
        raise GuestError(f"the guest needs: apt-get install --no-install-recommends {' '.join(missing)}")
    found = recipe.find_guest()
    if found is None:
        say("there is no guest of this recipe: it is built, which takes about nine minutes, once")
        found = build()
    say(f"guest: {found.folder}")
    return found


def test(built: recipe.Built, arguments: list[str]) -> int:
    """Run the tests in a guest; return pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        project = pack_project(Path(folder, "project.img"))
        disks = [make_disk(Path(folder, f"disk{number}.img")) for number in range(DISKS)]
        say(f"the project was packed in {time.monotonic() - began:.1f} s")
        with Guest.boot(built, project, disks) as guest:
            say(f"booted in {guest.boot_s:.1f} s")
            argv = ("python3", "-m", "pytest", "-p", "no:cacheprovider", *(arguments or ["tests/vm/inside"]))
            return guest.run(argv, timeout_s=LIMIT_S, told=_pass_on).code


def _pass_on(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def say(what: str) -> None:
    """Tell what is going on."""
    print(what, file=sys.stderr, flush=True)  # noqa: T201 - it takes a while


if __name__ == "__main__":
    try:
        sys.exit(test(find(), sys.argv[1:]))
    except GuestError as error:
        sys.exit(str(error))
