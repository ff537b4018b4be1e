"""Real processes: one executor and many clients, interrupts at each stage, kills, pipes, speed."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 30.0
Process = subprocess.Popen[str]


def until(process: Process, word: str) -> str:
    """Read stderr until a line holds the word; return that line."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return line
    raise AssertionError(f"{word!r} was never said")


def ended(process: Process) -> tuple[int, str, str]:
    """Wait for the end; return code, stdout and what is left of stderr."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    return process.returncode, out, err


@contextmanager
def serving(place: Any, *words: str, **env: str) -> Iterator[Process]:
    """Run an executor for good; it is ready when this begins, and drained when this ends."""
    process = place.start("serve", *words, **env)
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.terminate()
        ended(process)


def sagas(place: Any) -> dict[str, str]:
    """Return the state of each saga in the log, newest first."""
    return {saga["id"]: saga["state"] for saga in place.run("list", "--json").json["sagas"]}


def test_a_second_submit_goes_through_the_first(place: Any) -> None:
    """While one process drives its saga, another submits through its socket; both end as they should."""
    first = place.start("submit", "two", "-p", "gate=open", "-p", "name=a")
    until(first, "first: started")
    log = place.path / ".sledsaga" / "log.db"
    mode = os.lstat(f"{log}.sock").st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    second = place.run("submit", "two", "-p", "name=b", "--json")
    assert (second.code, second.json["state"]) == (0, "succeeded")
    (place.path / "open").touch()
    assert ended(first)[0] == 0
    assert set(sagas(place).values()) == {"succeeded"}
    assert not Path(f"{log}.sock").exists()


def test_whoever_waits_takes_over(place: Any) -> None:
    """When the executor is killed, the process that waits for a saga in it drives it to its end."""
    with serving(place) as executor:
        waiting = place.start("submit", "two", "-p", "gate=open")
        until(waiting, "first: started")
        executor.kill()
        until(waiting, "takes over")
        (place.path / "open").touch()
        assert ended(waiting)[0] == 0
    assert set(sagas(place).values()) == {"succeeded"}


def test_a_second_executor_is_refused(place: Any) -> None:
    """`serve` beside an executor that runs is a conflict that names the process."""
    with serving(place) as executor:
        second = place.run("serve")
        assert (second.code, str(executor.pid) in second.err) == (5, True)


def test_decisions_go_through_the_executor(place: Any) -> None:
    """pause, resume and cancel change a saga that another process drives, while it drives it."""
    with serving(place):
        saga = place.run("submit", "two", "-p", "gate=open", "--detach", "--json").json["id"]
        following = place.start("events", saga, "--follow", "--json")
        reason = ("--reason", "a test", "--yes")
        assert place.run("pause", saga, *reason).code == 0
        assert place.run("resume", saga, *reason).code == 0
        assert place.run("cancel", saga, *reason, "--wait").code == 6
        code, out, _ = ended(following)
        assert code == 0
    types = [json.loads(line)["type"] for line in out.splitlines()]
    assert [kind for kind in types if kind in ("paused", "resumed", "cancel-requested", "ended")] == [
        "paused",
        "resumed",
        "cancel-requested",
        "ended",
    ]


def test_an_executor_takes_what_was_recorded_before(place: Any) -> None:
    """What was submitted with --detach when nobody ran is driven by the executor that starts then."""
    saga = place.run("submit", "two", "--detach", "--json").json["id"]
    with serving(place):
        assert place.run("watch", saga, "--timeout", "20").code == 0


def test_draining_lets_what_runs_finish(place: Any) -> None:
    """At SIGTERM the executor takes nothing new and waits for the running step; the rest is handed back."""
    with serving(place) as executor:
        saga = place.run("submit", "two", "-p", "gate=open", "--detach", "--json").json["id"]
        executor.terminate()
        until(executor, "letting what runs finish")
        (place.path / "open").touch()
        code, _, err = ended(executor)
        assert (code, "handed back" in err) == (0, True)
    steps = {step["path"]: step["state"] for step in place.run("show", saga, "--json").json["steps"]}
    assert steps == {"first": "succeeded", "second": "pending"}
    assert place.run("recover").code == 0
    assert place.journal() == ["do first", "do second"]


def test_a_second_signal_ends_it_at_once(place: Any) -> None:
    """A second signal while draining cancels what runs; the saga is handed back and recovered."""
    with serving(place) as executor:
        saga = place.run("submit", "two", "-p", "gate=open", "--detach", "--json").json["id"]
        executor.terminate()
        until(executor, "letting what runs finish")
        executor.send_signal(signal.SIGINT)
        ended(executor)
    assert place.run("show", saga, "--json").json["state"] == "running"
    (place.path / "open").touch()
    assert place.run("recover").code == 0


def test_systemd_is_told(place: Any) -> None:
    """With NOTIFY_SOCKET set the executor says when it is ready and when it stops."""
    path = place.path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(path))
        ear.settimeout(PATIENCE_S)
        with serving(place, NOTIFY_SOCKET=str(path)):
            assert ear.recv(100).startswith(b"READY=1")
        assert ear.recv(100) == b"STOPPING=1"


def test_an_interrupt_hands_the_saga_back(place: Any) -> None:
    """Ctrl-C in a foreground submit lets the step finish, ends with 130 and says how to go on."""
    process = place.start("submit", "two", "-p", "gate=open")
    until(process, "first: started")
    process.send_signal(signal.SIGINT)
    until(process, "once more")
    (place.path / "open").touch()
    code, _, err = ended(process)
    assert (code, "was handed back; `sledsaga recover`" in err) == (130, True)
    assert place.run("recover").code == 0
    assert place.journal() == ["do first", "do second"]


def test_a_second_interrupt_is_heard_at_once(place: Any) -> None:
    """Ctrl-C twice cancels the running step; it is in doubt, and recovered."""
    process = place.start("submit", "two", "-p", "gate=open")
    until(process, "first: started")
    process.send_signal(signal.SIGTERM)
    until(process, "once more")
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert (code, "handed back" in err) == (130, True)
    (place.path / "open").touch()
    assert place.run("recover").code == 0


def test_an_interrupt_of_a_client_leaves_the_saga_alone(place: Any) -> None:
    """Ctrl-C where another process drives only ends the watching, and says so."""
    with serving(place):
        process = place.start("submit", "two", "-p", "gate=open")
        until(process, "first: started")
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
        assert (code, "goes on with the executor" in err) == (130, True)
        (place.path / "open").touch()
        (saga,) = sagas(place)
        assert place.run("watch", saga, "--timeout", "20").code == 0


def test_an_interrupt_before_anything_says_so(place: Any) -> None:
    """Ctrl-C while the params are still read ends with 130, one line, and no log."""
    fifo = place.path / "params"
    os.mkfifo(fifo)
    process = place.start("submit", "two", "-f", "params")
    with fifo.open("w"):  # it is open as soon as the other end reads
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
    assert (code, err.startswith("sledsaga: interrupted")) == (130, True)
    assert not (place.path / ".sledsaga").exists()


@pytest.mark.parametrize(
    "point", ["before-append:2", "after-append:3", "before-do:second", "after-do:first", "after-append:1"]
)
def test_a_kill_at_any_point_is_recovered(place: Any, point: str) -> None:
    """SLEDSAGA_CRASH kills at its point; `recover` brings the saga to the end that it would have had."""
    assert place.run("submit", "two", SLEDSAGA_CRASH=point).code == -signal.SIGKILL
    assert place.run("recover").code == 0
    assert set(sagas(place).values()) == {"succeeded"}


def test_a_kill_while_unwinding_is_recovered(place: Any) -> None:
    """A saga that was killed in its undo is undone by `recover`."""
    done = place.run("submit", "two", "-p", "fail=second", SLEDSAGA_CRASH="after-undo:first")
    assert done.code == -signal.SIGKILL
    assert place.run("recover").code == 0
    assert set(sagas(place).values()) == {"undone"}


def test_a_malformed_crash_point_is_refused(place: Any) -> None:
    """A wrong SLEDSAGA_CRASH is a usage error, and nothing is recorded."""
    assert place.run("submit", "two", SLEDSAGA_CRASH="soon").code == 2
    assert sagas(place) == {}


def test_params_come_through_a_pipe(place: Any) -> None:
    """`-f -` reads the params from stdin, in any notation."""
    done = place.run("submit", "two", "-f", "-", "--json", stdin="name: ann\n")
    assert done.json["steps"][1]["output"] == "ANN"


def test_stdout_holds_data_alone(place: Any) -> None:
    """What is said on the way goes to stderr, so that stdout can be piped; no colour goes to a pipe."""
    done = place.run("submit", "two", "--json")
    assert (done.json["state"], done.err) == ("succeeded", "")
    shown = place.run("submit", "two")
    assert "first: started" in shown.err
    assert "first: started" not in shown.out
    assert "\x1b" not in shown.out + shown.err


def test_colour_when_it_is_asked_for(place: Any) -> None:
    """`--color always` colours also what goes to a pipe."""
    place.run("submit", "two")
    assert "\x1b[" in place.run("list", "--color", "always").out
    assert "\x1b[" not in place.run("list", "--color", "never").out


def test_a_closed_pipe_is_no_trouble(place: Any) -> None:
    """When the reader goes away the program ends quietly, with the code that shells give."""
    place.run("submit", "two")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [*place.program, "list"],
            cwd=place.path,
            env=place.env(),
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_for_the_output_is_said(place: Any) -> None:
    """Output that cannot be written is an error in one line."""
    place.run("submit", "two")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*place.program, "list", "--json"],
            cwd=place.path,
            env=place.env(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_diagnostics_can_be_json(place: Any) -> None:
    """With SLEDSAGA_LOG_FORMAT=json each line of diagnostics is an object, with saga and step."""
    place.run("submit", "two", "--detach")
    lines = place.run("recover", "--json", SLEDSAGA_LOG="trace", SLEDSAGA_LOG_FORMAT="json").err.splitlines()
    assert all({"v", "at", "level", "message"} <= json.loads(line).keys() for line in lines)


def loaded(place: Any, *words: str) -> set[str]:
    """Return the modules that a line has loaded when it has ended."""
    code = f"import sys; from sledsaga.cli.line import run_line; run_line({list(words)})"
    argv = [place.program[0].parent / "python", "-c", f"{code}; print(*sys.modules, file=sys.stderr)"]
    done = subprocess.run(argv, cwd=place.path, env=place.env(), capture_output=True, text=True, check=True)
    return set(done.stderr.split())


HEAVY = {"alembic", "httpx", "loguru", "networkx", "pydantic", "starlette", "uvicorn", "yaml"}


def test_help_is_fast(place: Any) -> None:
    """`--help` loads nothing heavy: no SQLAlchemy, pydantic, networkx, rich or web server."""
    assert not loaded(place, "--help") & (HEAVY | {"sqlalchemy", "rich"})


def test_looking_is_fast(place: Any) -> None:
    """Whoever only reads a log loads nothing that runs a saga, nor, without a terminal, what draws on one."""
    place.run("submit", "two", "--detach")
    assert "sqlalchemy" in (found := loaded(place, "list"))
    assert not found & (HEAVY | {"rich.console"})


def test_completion_knows_sagas_and_operations(place: Any) -> None:
    """The shell is offered operations, ids of sagas, and steps."""
    saga = place.run("submit", "two", "--json").json["id"]

    def offered(words: str, position: int) -> str:
        return str(
            place.run(_SLEDSAGA_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(position)).out
        )

    assert "two" in offered("sledsaga submit t", 2)
    assert saga in offered(f"sledsaga show {saga[:4]}", 2)
    assert "second" in offered(f"sledsaga retry {saga} s", 3)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(place: Any, shell: str) -> None:
    """There is a script for each shell, and it asks this program."""
    done = place.run("completion", shell)
    assert (done.code, "_SLEDSAGA_COMPLETE" in done.out) == (0, True)
