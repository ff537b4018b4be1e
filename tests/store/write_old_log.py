"""Write a log to keep: sagas in every state, by the program that this file is run with.

    python tests/store/write_old_log.py tests/store/fixtures/0003 [revision]

makes `0003.sql`, the log as SQL, and `0003.json`, the picture of each saga as this program sees it; with a
revision the log is first taken down to it. Run it when a schema is new, and keep both files for good. For an
older program, copy this file and `old_sagas.py` into a checkout of it.

Rules
- The log begins in the year 2023, so that whatever waits for its time is due when it is read.
- Two processes die with steps in flight, one of them while it recovers; the last only submits and looks.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
BEGIN = 1_700_000_000.0
READ = time.time
START = float(os.environ.setdefault("OLD_LOG_START", str(READ())))
time.time = lambda: round(BEGIN + READ() - START, 3)

from sledsaga.core.commands import Command  # noqa: E402 - the clock is set first
from sledsaga.engine.catalog import Catalog  # noqa: E402 - the clock is set first
from sledsaga.engine.engine import Engine  # noqa: E402 - the clock is set first
from sledsaga.store.open import open_store  # noqa: E402 - the clock is set first
from tests.store.old_sagas import ALL, GONE, PATIENCE_S, Wishes  # noqa: E402 - the clock is set first

LAST_FAILS = {"do report": "fail"}
STUCK = LAST_FAILS | {"undo make": "fail"}
REST: list[tuple[str, str, dict[str, str], tuple[str, ...]]] = [
    ("succeeded", "build", {"do wipe-1": "later once"}, ()),
    ("undone", "build", LAST_FAILS, ()),
    ("undone-clean", "build", {"do fetch": "clean"}, ()),
    ("abandoned", "build", STUCK, ("abandon",)),
    ("stuck-undo", "build", STUCK, ()),
    ("undo-skipped", "build", STUCK, ("skip-undo",)),
    ("undo-retried", "build", LAST_FAILS | {"undo make": "fail once"}, ("retry-undo",)),
    ("stuck-forward", "ship", {"do confirm": "fail"}, ()),
    ("skipped", "ship", {"do confirm": "fail"}, ("skip confirm",)),
    ("retried", "ship", {"do confirm": "fail once"}, ("retry",)),
    ("lent", "lend", {}, ()),
    ("paused", "build", {"do make": "gate"}, ("pause",)),
    ("cancelled", "build", {"do make": "gate"}, ("cancel",)),
    ("waiting", "build", {}, ()),
    ("parked", "gone", {"do prepare": "later"}, ()),
    ("backing-off", "build", {"do wipe-0": "later"}, ()),
    ("undo-backing-off", "build", LAST_FAILS | {"undo wipe-0": "fail"}, ()),
]
FLYING: list[tuple[str, str, dict[str, str], tuple[str, ...]]] = [
    ("in-doubt", "build", {"do wipe-1": "hang"}, ()),
    ("undo-in-doubt", "build", LAST_FAILS | {"undo make": "hang"}, ()),
    ("to-be-redone", "build", {"do make": "hang"}, ("cancel",)),
    ("nested-in-doubt", "lend", {"do in/turn": "hang"}, ()),
]
ARRIVING = ("gate", "hang")


def saga_id(number: int) -> str:
    return f"018bcfe5-{number:04d}-7000-8000-{number:012d}"


def tell(engine: Engine, saga: str, said: str) -> None:
    """Say something to a saga as soon as it fits."""
    verb, _, step = said.partition(" ")
    output = "as agreed" if step else None
    engine.command(saga, Command(verb, "an operator", "so it was decided: ✓", step or None, output))  # type: ignore[arg-type]  # the table has only verbs


def play(engine: Engine, table: Any, first: int) -> None:
    for number, (name, operation, wish, said) in enumerate(table, first):
        saga, arriving = saga_id(number), any(one in ARRIVING for one in wish.values())
        pool = "paused" if name == "waiting" else name
        engine.submit(operation, {"name": pool, "wish": wish}, id=saga, key=f"{name} ☂", by="somebody")
        if arriving:
            assert Wishes.arrivals.acquire(timeout=PATIENCE_S)
        elif name not in ("waiting", "backing-off", "undo-backing-off", "parked"):
            engine.wait(saga, PATIENCE_S)
        for one in said:
            tell(engine, saga, one)
        if arriving and table is REST:
            Wishes.gate.set()
            engine.wait(saga, PATIENCE_S)
            Wishes.gate.clear()


def first(url: str) -> None:
    """Bring sagas to rest in every way, and let some wait."""
    engine = Engine(open_store(url), Catalog(ALL), executor="first")
    play(engine, REST, 1)
    for name, step in (("backing-off", "wipe-0"), ("undo-backing-off", "wipe-0"), ("parked", "prepare")):
        saga = saga_id(1 + [row[0] for row in REST].index(name))
        while engine.view(saga).step(step).next_at is None:
            time.sleep(0.01)
    engine.close()


def second(url: str) -> None:
    """Take over what waits, without knowing one of the operations, and die with calls in flight."""
    engine = Engine(open_store(url), Catalog(one for one in ALL if one is not GONE), executor="second")
    engine.recover()
    play(engine, FLYING, 50)
    os._exit(9)


def third(url: str) -> None:
    """Take over once more, so that what was in doubt has been called again, and die as well."""
    engine = Engine(open_store(url), Catalog(one for one in ALL if one is not GONE), executor="third")
    engine.recover()
    for _ in FLYING:
        assert Wishes.arrivals.acquire(timeout=PATIENCE_S)
    os._exit(9)


def last(url: str) -> dict[str, Any]:
    """Submit one more that nobody drives, and look at all."""
    store = open_store(url)
    engine = Engine(store, Catalog(ALL), executor="last", drive=False)
    engine.submit("build", {"name": "unclaimed"}, id=saga_id(99), by="somebody")
    seen = {saga: engine.view(saga).to_json() for saga in store.find("", limit=999)}
    engine.close()
    store.close()
    return seen


def write(place: Path, revision: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        url = f"sqlite:///{path}"
        for part, code in (("first", 0), ("second", 9), ("third", 9)):
            done = subprocess.run([sys.executable, __file__, part, url], check=False)
            assert done.returncode == code
        seen = last(url)
        if revision is not None:
            down(path, revision)
        with sqlite3.connect(path) as db:
            place.with_suffix(".sql").write_text("\n".join(db.iterdump()) + "\n")
    lines = ",\n".join(json.dumps({saga: body}, ensure_ascii=False)[1:-1] for saga, body in seen.items())
    place.with_suffix(".json").write_text(f"{{\n{lines}\n}}\n")


def down(path: Path, revision: str) -> None:
    from alembic import command

    from sledsaga.store.migrate import _config
    from sledsaga.store.sqlite import make_engine

    with make_engine(path, "rw", foreign_keys=False).connect() as connection, connection.begin():
        command.downgrade(_config(connection), revision)


PARTS = {"first": first, "second": second, "third": third}
if __name__ == "__main__":
    Wishes.heard = True
    what, *rest = sys.argv[1:]
    if what in PARTS:
        PARTS[what](rest[0])
    else:
        write(Path(what), rest[0] if rest else None)
