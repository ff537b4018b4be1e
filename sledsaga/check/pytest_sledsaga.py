"""A plugin for pytest: every check is a fixture, and the session ends with a matrix of what was tried.

    def test_it_leaves_nothing(fail_each_step, simulated_sled):
        fail_each_step(operation=FORMAT, params={...}, sled=simulated_sled(disks=["A0"]))

A fixture that is named after a check takes a `Subject`, or the parts of one by name, and `every`; it returns
the check's `Row`, and raises AssertionError that tells each point at which the operation failed. Given the
same `Subject` in several tests, it finds out once what the trials are compared with.
`check_operation` makes all checks, or those named by `only`, and returns the `Report`. `leaves_nothing` is
the comparison that they make, for tests of other kinds.

Rules
- pytest finds this file when the package is installed, in projects that have nothing to do with it, too:
  nothing heavy is imported before a fixture is used.
- What was tried goes to the terminal with the reports of the tests, so it comes from other processes as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sledsaga.check.report import Report, Row
    from sledsaga.check.subject import Subject
    from sledsaga.check.trials.series import Trials
    from sledsaga.core.define import Operation
    from sledsaga.hosts.sim import DiskSpec

PROPERTY = "sledsaga"
SWITCH = "sledsaga-matrix"
TRIALS = pytest.StashKey["dict[int, Trials]"]()
"""Trials by the id of their subject, which they keep, so that no other object can get that id."""
DISK = ("1b96", "WUS4")
"""Vendor and model of a disk that is named by its serial only."""


def _proof(name: str) -> Any:  # noqa: ANN401 - what pytest makes of a fixture is its own affair
    """Make the fixture that is named after a check."""

    @pytest.fixture(name=name)
    def fixture(request: pytest.FixtureRequest) -> Callable[..., Row]:
        return functools.partial(_prove, request, name)

    fixture.__doc__ = f"Make the check {name} of a subject; returns its row, raises AssertionError."
    return fixture


actions_twice = _proof("actions_twice")
fail_each_step = _proof("fail_each_step")
undo_twice = _proof("undo_twice")
undo_fails_each_step = _proof("undo_fails_each_step")
crash_each_point = _proof("crash_each_point")
probe_truthful = _proof("probe_truthful")
lost_reply_each_command = _proof("lost_reply_each_command")
slow_each_command = _proof("slow_each_command")
cut_each_command = _proof("cut_each_command")


@pytest.fixture
def check_operation(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Make all checks of a subject, or those in `only`; returns the report, raises AssertionError."""

    def check(
        subject: Subject | None = None,
        *,
        only: Iterable[str] | None = None,
        every: int = 1,
        **parts: Any,  # noqa: ANN401 - the fields of a subject
    ) -> Report:
        from sledsaga.check.trials.checks import check as check_all

        __tracebackhide__ = True
        report = check_all(_subject(subject, parts), only=only, every=every)
        for row in report.rows:
            _note(request, f"{report.operation} v{report.version}", row)
        _demand(f"{report.operation} v{report.version}", report.rows)
        return report

    return check


@pytest.fixture
def leaves_nothing() -> Callable[[Callable[[], Any]], AbstractContextManager[None]]:
    """Compare pictures from before and after a `with`; raises AssertionError with a diff."""
    from sledsaga.check.leaves import leaves_nothing as compare

    return compare


@pytest.fixture
def simulated_sled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make simulated sleds in temporary folders; returns the folder, which a subject takes as `sled`.

    `disks` are specs of U.2 disks, or serials of blank ones; `images` and `artifacts` are zone images by name
    and artifacts by SHA-256, as bytes; `after` are operations with params that are run on it first.
    """

    def make(
        disks: Iterable[DiskSpec | str] = (),
        *,
        images: Mapping[str, bytes] | None = None,
        artifacts: Mapping[str, bytes] | None = None,
        after: Iterable[tuple[Operation, Mapping[str, Any]]] = (),
    ) -> Path:
        from sledsaga.check.trials.trial import prepare
        from sledsaga.hosts.sim import DiskSpec, SimSled

        path = tmp_path_factory.mktemp("sled") / "sled"
        specs = [DiskSpec(*DISK, disk) if isinstance(disk, str) else disk for disk in disks]
        SimSled.init_from_disks(path, specs, images=images, artifacts=artifacts).close()
        for operation, params in after:
            prepare(path, operation, params)
        return path

    return make


def _prove(
    request: pytest.FixtureRequest,
    name: str,
    subject: Subject | None = None,
    *,
    every: int = 1,
    **parts: Any,  # noqa: ANN401 - the fields of a subject
) -> Row:
    from sledsaga.check.trials.checks import CHECKS

    __tracebackhide__ = True
    subject = _subject(subject, parts)
    row = CHECKS[name](_trials(request.config, subject), every=every)
    operation = f"{subject.operation.name} v{subject.operation.version}"
    _note(request, operation, row)
    _demand(operation, [row])
    return row


def _subject(subject: Subject | None, parts: dict[str, Any]) -> Subject:
    from sledsaga.check.subject import Subject

    if subject is None:
        return Subject(**parts)
    if parts or not isinstance(subject, Subject):
        came = ", ".join([f"{subject!r:.60}", *(f"{name}=" for name in parts)])
        msg = f"give a Subject, or operation=, params= and so on; got {came}"
        raise TypeError(msg)
    return subject


def _trials(config: pytest.Config, subject: Subject) -> Trials:
    """Return the trials of a subject: what they are compared with is made once for the same object."""
    from sledsaga.check.trials.series import trials_of

    known = config.stash.setdefault(TRIALS, {})
    if id(subject) not in known:
        known[id(subject)] = trials_of(subject)
    return known[id(subject)]


def _note(request: pytest.FixtureRequest, operation: str, row: Row) -> None:
    """Send what a row says in short with the report of the test."""
    short = {"operation": operation, "check": row.check, "ok": row.ok, "seconds": row.seconds}
    short |= {"passed": row.passed, "points": len(row.points), "of": row.total, "note": row.note}
    request.node.user_properties.append((PROPERTY, short))


def _demand(operation: str, rows: Iterable[Row]) -> None:
    """Raise AssertionError that tells all that is not ok."""
    from sledsaga.check.render import failures_of

    __tracebackhide__ = True
    lines = [line for row in rows if not row.ok for line in failures_of(row) or [f"{row.check}: no point"]]
    if lines:
        msg = "\n  ".join((f"{operation} is not proven:", *lines))
        raise AssertionError(msg)


class Matrix:
    """Collects what was tried, from this process and others, and shows it at the end."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test noted."""
        for name, short in report.user_properties if report.when == "teardown" else ():
            if name == PROPERTY and isinstance(short, dict):
                checks = self._rows.setdefault(short["operation"], {})
                checks.setdefault(short["check"], []).append(short)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show a line for each operation."""
        if not self._rows:
            return
        terminalreporter.section("operations put to the proof")
        for operation, checks in sorted(self._rows.items()):
            is_ok = all(short["ok"] for shorts in checks.values() for short in shorts)
            line = f"{operation}: {'ok' if is_ok else 'NOT OK'}: {', '.join(_told(checks))}"
            terminalreporter.write_line(line, green=is_ok, red=not is_ok)
            for note in sorted({short["note"] for shorts in checks.values() for short in shorts} - {""}):
                terminalreporter.write_line(f"  note: {note}", yellow=True)


def _told(checks: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    for check, shorts in checks.items():
        passed, points, of = (sum(short[name] for short in shorts) for name in ("passed", "points", "of"))
        yield f"{check} {passed}/{points}" + (f" (of {of})" if of != points else "")


def pytest_configure(config: pytest.Config) -> None:
    """Show the matrix at the end of this session."""
    config.pluginmanager.register(Matrix(), SWITCH)
