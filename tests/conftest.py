"""For all tests: how long an example may take says something about the machine, not about the code."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.tiers import reasons

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a script's `make test &` starts deaf to Ctrl-C, and so would be the processes that tests interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each tier of tests that this machine could not run."""
    for reason in reasons(terminalreporter):
        terminalreporter.write_line(f"skipped tier {reason}")
