"""What a person may set, where each value came from, and what holds when nothing is set.

Rules
- A flag wins over the environment, which wins over the default. A variable that is set but empty is not set.
- Each value knows its origin, so that a message about a bad value names where to mend it.
- This file reads no files and touches nothing; `wiring` opens what is named here.

| flag    | variable                | default              | meaning                                         |
| ------- | ----------------------- | -------------------- | ----------------------------------------------- |
| --db    | SLEDSAGA_DB             | .sledsaga/log.db     | the log: a path, or a URL such as sqlite:///P   |
| --sled  | SLEDSAGA_SLED           | sim:.sledsaga/sled   | the machine: sim:PATH, or local:[DOCUMENT]      |
|         | SLEDSAGA_CATALOG        |                      | more operations: module:ATTR, split by commas   |
|         | SLEDSAGA_LOG            | warning              | least level of diagnostics that is shown        |
|         | SLEDSAGA_LOG_FORMAT     | text                 | diagnostics as text or json                     |
|         | SLEDSAGA_THREADS        | 16                   | `def` steps that run at once                    |
|         | SLEDSAGA_ASYNC_CALLS    | 256                  | `async def` steps that run at once              |
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sledsaga.errors import UsageError

LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical")
FORMATS: Final = ("text", "json")
SQLITE: Final = "sqlite:///"
URL: Final = re.compile(r"[a-z][a-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value as text, and where it came from: a flag, a variable, or `default`."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that can be set: its flag (if any), its variable, its default, and what it must be."""

    variable: str
    default: str
    flag: str | None = None
    check: Callable[[Setting], str] = lambda setting: setting.value


def _one_of(*words: str) -> Callable[[Setting], str]:
    def check(setting: Setting) -> str:
        if setting.value.lower() not in words:
            raise UsageError(f"{setting.origin}: {setting.value!r} is none of {', '.join(words)}")
        return setting.value.lower()

    return check


def _count(setting: Setting) -> str:
    if not (setting.value.isascii() and setting.value.isdigit() and int(setting.value) > 0):
        raise UsageError(f"{setting.origin}: {setting.value!r} is no whole number above 0")
    return setting.value


def _log_url(setting: Setting) -> str:
    """Return a URL; a bare path becomes one."""
    return setting.value if URL.match(setting.value) else f"{SQLITE}{setting.value}"


def _sled_url(setting: Setting) -> str:
    kind, _, rest = setting.value.partition(":")
    if (kind == "sim" and rest.partition("?")[0]) or kind == "local":
        return setting.value
    raise UsageError(
        f"{setting.origin}: {setting.value!r} is no sled: sim:PATH is expected, or local: for this machine"
    )


ROWS: Final[dict[str, Row]] = {
    "db": Row("SLEDSAGA_DB", f"{SQLITE}.sledsaga/log.db", "--db", _log_url),
    "sled": Row("SLEDSAGA_SLED", "sim:.sledsaga/sled", "--sled", _sled_url),
    "catalog": Row("SLEDSAGA_CATALOG", ""),
    "log_level": Row("SLEDSAGA_LOG", "warning", "-v", _one_of(*LEVELS)),
    "log_format": Row("SLEDSAGA_LOG_FORMAT", "text", None, _one_of(*FORMATS)),
    "threads": Row("SLEDSAGA_THREADS", "16", None, _count),
    "async_calls": Row("SLEDSAGA_ASYNC_CALLS", "256", None, _count),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set, each with its origin. Made by `resolve`."""

    db: Setting
    sled: Setting
    catalog: Setting
    log_level: Setting
    log_format: Setting
    threads: Setting
    async_calls: Setting


def resolve(flags: Mapping[str, str | None] | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Return what holds, by flags (name to value), then environment, then default.

    Raises UsageError, naming the flag or the variable, for a value that cannot be.
    """
    given, variables = flags or {}, os.environ if env is None else env
    return Settings(**{name: _one(row, given.get(name), variables) for name, row in ROWS.items()})


def _one(row: Row, flag: str | None, env: Mapping[str, str]) -> Setting:
    found = Setting(row.default, "default")
    if flag:
        found = Setting(flag, row.flag or "flag")
    elif env.get(row.variable):
        found = Setting(env[row.variable], row.variable)
    return Setting(row.check(found), found.origin)
