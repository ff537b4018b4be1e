"""The verb `check`: an operation is put to the proof, on copies of a simulated sled.

Rules
- The sled that is given is only read: it is copied once, and each trial has a copy of that copy.
- stdout has the matrix, stderr (if it is a terminal) a bar. What was made for the trials is removed, also
  after an interrupt.
- An interrupt or a termination ends all processes that were started.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from sledsaga.cli.codes import ERROR
from sledsaga.cli.complete import complete_operation
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.driving import terminated_like_interrupted
from sledsaga.cli.inputs import read_params
from sledsaga.cli.root import root
from sledsaga.cli.words import clean
from sledsaga.errors import ExecutorBusy, UsageError

if TYPE_CHECKING:
    from sledsaga.check.report import Point, Report
    from sledsaga.check.subject import Subject
    from sledsaga.check.trials.series import OnPoint
    from sledsaga.core.define import Operation

SIM: Final = "sim:"
FOLDER: Final = "{folder}"
"""Stands in params for the folder that each trial has of its own."""


def complete_check(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the checks whose name begins so."""
    return [CompletionItem(name) for name in (*_checks(), *_kills()) if name.startswith(begun)]


@verb(root, "check")
@click.argument("operation", shell_complete=complete_operation)
@click.option("-f", "--file", metavar="FILE", help="Params from a JSON, YAML or TOML file; - is stdin.")
@click.option("-p", "--param", "pairs", multiple=True, metavar="KEY=VALUE", help="One param; KEY:=JSON too.")
@click.option("--real-kills", is_flag=True, help="Also end real processes with SIGKILL at every point.")
@click.option(
    "--every", type=click.IntRange(min=1), default=1, metavar="N", help="Try one point in N, and the last."
)
@click.option(
    "--only",
    multiple=True,
    metavar="CHECK",
    shell_complete=complete_check,
    help="Only this check; may be given several times.",
)
@click.option("--html", metavar="FILE", help="Write the matrix as a page, too.")
def check(
    desk: Desk,
    *,
    operation: str,
    file: str | None,
    pairs: tuple[str, ...],
    real_kills: bool,
    every: int,
    only: tuple[str, ...],
    html: str | None,
) -> None:
    r"""Put OPERATION to the proof: every step twice, failing, crashed at every point, on copies of a sled.

    \b
        sledsaga check provision-crdb -f crdb.yaml --every 5
        sledsaga check provision-crdb -f crdb.yaml --real-kills --html matrix.html
        sledsaga check provision-crdb -f crdb.yaml --only undo_twice --json

    Changes neither the sled nor the log; {folder} in a param is the folder that each trial has of its own.
    Ends with 0 when all passed and 1 when something did not, or was never reached.
    """
    names = _chosen(only, real_kills=real_kills)
    page = None if html is None else _writable(html)
    with terminated_like_interrupted(), ExitStack() as stack:
        subject = _subject(desk, operation, read_params(file, pairs), stack)
        report = _report(subject, names, every, on_point=stack.enter_context(_progress(desk)))
    _show(desk, report, page)
    if not report.ok:
        raise SystemExit(ERROR)


def _checks() -> tuple[str, ...]:
    from sledsaga.check.trials.checks import CHECKS

    return tuple(CHECKS)


def _kills() -> tuple[str, ...]:
    from sledsaga.check.kills.matrix import CHECKS

    return CHECKS


def _chosen(only: tuple[str, ...], *, real_kills: bool) -> tuple[str, ...]:
    """Return the names of the checks that are wanted; raises UsageError for one that there is not."""
    known = (*_checks(), *_kills())
    for name in only:
        if name not in known:
            raise UsageError(f"--only {name}: there is no such check; there are: {', '.join(known)}")
    if only:
        return tuple(name for name in known if name in only or (real_kills and name in _kills()))
    return known if real_kills else _checks()


def _writable(html: str) -> Path:
    """Return where the page goes; that it cannot go there is said before the work, not after."""
    path = Path(html)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"--html {html}: there can be no file; name one in a folder that you may write to")
    return path


def _subject(desk: Desk, name: str, params: dict[str, Any], stack: ExitStack) -> Subject:
    """Return what is tried; raises UsageError for what does not fit, HostError when there is no sled."""
    from sledsaga.check.subject import Subject, temporary
    from sledsaga.wiring import open_catalog

    operation = open_catalog(desk.settings).get(name)
    wanted = partial(_filled, params) if FOLDER in json.dumps(params) else params
    if not _asks_for_sled(operation, _filled(params, Path("/folder"))):
        return Subject(operation, wanted)
    return Subject(operation, wanted, _copied(desk, stack.enter_context(temporary()) / "sled"))


def _filled(params: Any, folder: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Return params with a trial's folder in its places."""
    if isinstance(params, dict):
        return {name: _filled(value, folder) for name, value in params.items()}
    if isinstance(params, list):
        return [_filled(value, folder) for value in params]
    return params.replace(FOLDER, str(folder)) if isinstance(params, str) else params


def _asks_for_sled(operation: Operation, params: dict[str, Any]) -> bool:
    from sledsaga.core.dag import Given
    from sledsaga.core.plan import plan

    steps = plan(operation, params).dag.steps
    return any(source == Given("sled") for step in steps for _, source in step.inputs)


def _copied(desk: Desk, to: Path) -> Path:
    """Copy the sled, which must be at rest; raises UsageError, HostError, ExecutorBusy."""
    from sledsaga import wiring
    from sledsaga.hosts.sim import SimSled

    setting = desk.settings.sled
    path = setting.value.removeprefix(SIM).partition("?")[0]
    if not setting.value.startswith(SIM) or not path:
        raise UsageError(
            f"{setting.origin}: {setting.value!r} cannot be copied for trials; name a simulated one, sim:PATH"
        )
    busy = wiring.holder(desk.settings)
    if busy is not None:
        raise ExecutorBusy(
            f"process {busy.pid} drives the sagas of this log, so the sled in {path} may change while it is "
            "copied: let that process end first, or name another --sled (and its --db)"
        )
    SimSled.open(path).close()  # whether there is one
    shutil.copytree(path, to)
    return to


def _report(subject: Subject, names: tuple[str, ...], every: int, *, on_point: OnPoint) -> Report:
    """Make the checks that are wanted: those in this process first, then those that kill others."""
    from sledsaga.check.kills.matrix import Extent, real_kills
    from sledsaga.check.report import Report
    from sledsaga.check.trials.checks import check as check_here

    begun = time.monotonic()
    here = [name for name in names if name in _checks()]
    kills = [name for name in names if name in _kills()]
    made = Report(subject.operation.name, subject.operation.version, ())
    if here:
        made = check_here(subject, only=here, every=every, on_point=on_point)
    if kills and not any(row.check not in names for row in made.rows):  # else it fails without any kill
        is_apart = subject.sled is not None or callable(subject.params)  # else trials share what they change
        extent = Extent(every=every, jobs=len(os.sched_getaffinity(0)) if is_apart else 1)
        made = replace(
            made, rows=(*made.rows, *real_kills(subject, only=kills, extent=extent, on_point=on_point))
        )
    return replace(made, seconds=time.monotonic() - begun)


@contextmanager
def _progress(desk: Desk) -> Iterator[OnPoint]:
    """Give what is told of each point: it moves a bar on a terminal, and elsewhere does nothing."""
    if not desk.terminal.is_live:
        yield lambda _check, _point, _of: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=desk.terminal.err, transient=True) as progress:
        yield _moving(progress)


def _moving(progress: Any) -> Callable[[str, Point, int], None]:  # noqa: ANN401 - rich's Progress
    tasks: dict[str, Any] = {}

    def tell(check: str, point: Point, of: int) -> None:
        if check not in tasks:
            for done in tasks.values():
                progress.update(done, visible=False)
            tasks[check] = progress.add_task(check, total=of)
        progress.update(tasks[check], advance=1, total=of)
        if not point.ok:
            progress.console.print(f"{check}: {clean(point.name)} did not pass", highlight=False)

    return tell


def _show(desk: Desk, report: Report, page: Path | None) -> None:
    from sledsaga.check.render import to_html, to_text

    if desk.terminal.as_json:
        desk.terminal.json(report.to_json())
    else:
        desk.terminal.write(clean(to_text(report)))
    if page is not None:  # last: when the disk has become full, what was found is told all the same
        page.write_text(to_html(report), encoding="utf-8")
