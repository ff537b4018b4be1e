"""Settings: flags over environment over defaults, each with its origin."""

from __future__ import annotations

import pytest

from sledsaga.errors import UsageError
from sledsaga.settings import ROWS, Setting, resolve


def test_nothing_set_means_the_current_directory() -> None:
    """Without any setting the log and the sled are in `.sledsaga` here."""
    found = resolve({}, {})
    assert found.db == Setting("sqlite:///.sledsaga/log.db", "default")
    assert found.sled == Setting("sim:.sledsaga/sled", "default")


def test_the_environment_wins_over_defaults() -> None:
    """A variable that is set is taken, and named as the origin."""
    assert resolve({}, {"SLEDSAGA_SLED": "sim:/s"}).sled == Setting("sim:/s", "SLEDSAGA_SLED")


def test_a_flag_wins_over_the_environment() -> None:
    """A flag is taken before the variable of the same thing."""
    assert resolve({"db": "sqlite:////f"}, {"SLEDSAGA_DB": "/e"}).db == Setting("sqlite:////f", "--db")


def test_an_empty_variable_is_not_set() -> None:
    """`SLEDSAGA_DB=` is the same as no variable."""
    assert resolve({}, {"SLEDSAGA_DB": ""}).db.origin == "default"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("log.db", "sqlite:///log.db"),
        ("/var/log.db", "sqlite:////var/log.db"),
        ("memory:", "memory:"),
        ("sqlite:///a", "sqlite:///a"),
    ],
)
def test_a_bare_path_is_a_log(given: str, url: str) -> None:
    """A log may be named by its path alone; a URL is kept as it is."""
    assert resolve({"db": given}, {}).db.value == url


@pytest.mark.parametrize(
    ("variable", "bad"),
    [
        ("SLEDSAGA_LOG", "loud"),
        ("SLEDSAGA_LOG_FORMAT", "xml"),
        ("SLEDSAGA_THREADS", "0"),
        ("SLEDSAGA_ASYNC_CALLS", "many"),
    ],
)
def test_a_bad_value_names_its_origin(variable: str, bad: str) -> None:
    """A value that cannot be is refused by a line that names the variable and the value."""
    with pytest.raises(UsageError, match=f"{variable}: '{bad}'"):
        resolve({}, {variable: bad})


def test_every_setting_is_in_the_table() -> None:
    """The table atop the file lists every variable and flag that there is."""
    from sledsaga import settings

    told = settings.__doc__ or ""
    assert [row.variable for row in ROWS.values() if f" {row.variable} " not in told] == []
    assert [
        row.flag for row in ROWS.values() if row.flag in ("--db", "--sled") and row.flag not in told
    ] == []
