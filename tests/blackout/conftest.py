"""A machine for each test, with its disk in memory; the figures of all cuts are told at the end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.blackout.machine import Machine, compile_registers, make_machine, missing
from tests.tiers import skip_tier

MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps files in memory; a folder of our own is made there
ASKED = "TEST_POWER"
Make = Callable[[], Machine]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make machines, each with an empty disk."""
    if not os.environ.get(ASKED):
        skip_tier("power", "run by make test-power; it takes minutes")
    if why := missing():
        pytest.fail(f"make test-power needs machines of its own: {why}", pytrace=False)
    registers = compile_registers(tmp_path)
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as disks:
        numbers = iter(range(1000))

        def made() -> Machine:
            name = f"machine{next(numbers)}"
            return make_machine(tmp_path / name, Path(disks, f"{name}.img"), registers)

        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the figures of each test that cut the power."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, figures in getattr(report, "user_properties", ()):
                if name == "cuts" and report.when == "call":
                    terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {figures}")
