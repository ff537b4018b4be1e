"""How a demo is told: commands as a person would type them, what they print, and claims that must hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAGE = 120
STYLES = {"heading": "1;36", "command": "1", "bad": "1;31"}


class NotAsItShouldBeError(Exception):
    """A claim of the demo does not hold."""


@dataclass(frozen=True)
class Shell:
    """Where the commands of a demo are run: a folder, and variables that hold for all of them."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def show(self, line: str, *, keep: str) -> None:
        """Run a command and print those of its lines that begin so, none wider than the page."""
        ran = self.run(line, shown="")
        check(ran.returncode == 0, f"`sledsaga {line}` ended with {ran.returncode}: {ran.stderr.strip()}")
        lines = [text.rstrip() for text in (ran.stdout + ran.stderr).splitlines() if re.match(keep, text)]
        print("\n".join(text if len(text) <= PAGE else f"{text[: PAGE - 1]}…" for text in lines))

    def json(self, line: str) -> Any:  # noqa: ANN401 - any JSON value
        """Run a command and return what it prints with --json."""
        ran = self.run(f"{line} --json")
        check(ran.returncode == 0, f"`sledsaga {line}` ended with {ran.returncode}: {ran.stderr.strip()}")
        return json.loads(ran.stdout)

    def run(
        self, line: str, *, env: Mapping[str, str] | None = None, shown: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `sledsaga` with a line of arguments; `shown` (the variables before it) prints it first."""
        if shown is not None:
            print(painted("command", f"$ {shown}sledsaga {line}"), flush=True)
        plain = {name: text for name, text in os.environ.items() if not name.startswith("SLEDSAGA_")}
        return subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-m", "sledsaga", *line.split()],
            cwd=self.folder,
            env=plain | dict(self.env) | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def state_of(view: dict[str, Any], path: str) -> str:
    """Return the state of one step."""
    return next(str(step["state"]) for step in view["steps"] if step["path"] == path)


def check(holds: bool, claim: str) -> None:  # noqa: FBT001 - reads like assert
    """End the demo when a claim does not hold."""
    if not holds:
        raise NotAsItShouldBeError(claim)


def heading(text: str) -> None:
    """Print what comes next."""
    print(painted("heading", f"\n{text}"))


def painted(style: str, text: str) -> str:
    """Colour a line, on a terminal that wants it."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{STYLES[style]}m{text}\033[0m"
