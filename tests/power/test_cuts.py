"""Power cuts while a log is made, written, closed and opened again: what was acknowledged is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sledsaga.store.sql import SqlStore
from sledsaga.store.sqlite import connecting_by, make_engine
from tests.power.broken import NEVER_SYNCS
from tests.power.cuts import (
    LOG,
    Client,
    before_syncs,
    chosen_places,
    cuts,
    judge_cut,
    judge_log,
    live_on,
    record,
)
from tests.power.dbapi import connect_through
from tests.power.disk import disk_after
from tests.power.vfs import PowerVfs, Tape, lay_out
from tests.power.workload import Picture, look, make_batches


def cut_and_judge(client: Client, folder: Path, *, count: int, seed: int, after: int = 0) -> list[str]:
    """Cut the power at so many places, after one, of what a client did; return what was found broken."""
    places = [after + place for place in chosen_places(len(client.tape.entries) - after, count, seed)]
    told = [judge_cut(cut, client.pictures, folder / "after") for cut in cuts(client.tape, places, seed=seed)]
    print(f"{len(places)} power cuts")  # noqa: T201 - the figure
    return [one for one in told if one]


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_survives_a_power_cut(folder: Path, seed: int) -> None:
    """Wherever power is lost, the log has every batch that was acknowledged, none by half, and goes on."""
    client = record(folder / "log", seed)
    assert cut_and_judge(client, folder, count=100, seed=seed) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_log_is_made_or_can_be_made_again(folder: Path, seed: int) -> None:
    """Wherever power is lost while a log is made, opening it makes it, and it can be written."""
    client = record(folder / "log", 0, count=2)
    making = next(place for place, entry in enumerate(client.tape.entries) if "read after" in str(entry))
    del client.tape.entries[making:]
    assert cut_and_judge(client, folder, count=10_000, seed=seed) == []


@pytest.mark.parametrize("seed", range(2))
def test_checkpoints_can_be_cut(folder: Path, seed: int) -> None:
    """Power can also be lost while a log of some size is copied into the database, and begun anew."""
    client = record(folder / "log", seed, count=40, output_bytes=90_000)
    assert cut_and_judge(client, folder, count=40, seed=seed) == []


def test_what_was_read_after_a_kill_survives_a_power_cut(folder: Path) -> None:
    """Who was killed before its sync leaves a batch that is read by the next one: then it must stay."""
    first = record(folder / "log", 1, count=6)
    told = []
    for place in before_syncs(first):
        heir = live_on(first, place, folder / "next")
        told += cut_and_judge(heir, folder, count=8, seed=place, after=place)
    assert told == []


def test_a_reader_in_the_way_does_not_keep_it_from_the_disk(folder: Path) -> None:
    """Also while somebody reads an older state, what another left is durable once the log is open."""
    batches, tape, path = make_batches(0, count=4), Tape(), folder / LOG
    with connecting_by(connect_through(PowerVfs(tape))):
        first = SqlStore(path)
        first.write(batches[0].new, ())
        first.close()
        careless = NEVER_SYNCS(path)
        readers = make_engine(path, "ro")
        reader = readers.connect()
        reader.begin()
        seen = reader.exec_driver_sql("SELECT count(*) FROM event").scalar()
        careless.write(batches[1].new, batches[1].appends)
        store = SqlStore(path)
    assert {judge_end(tape, seed, look(store), folder / "after") for seed in range(16)} == {""}
    assert reader.exec_driver_sql("SELECT count(*) FROM event").scalar() == seen
    for one in (reader, careless, store):
        one.close()
    readers.dispose()


def judge_end(tape: Tape, seed: int, found: Picture, folder: Path) -> str:
    lay_out(disk_after(tape.entries).after_cut(seed)[1], folder)
    return judge_log(folder / LOG, [found])


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 112))
def test_many_power_cuts(folder: Path, seed: int) -> None:
    """The same at every place of the tape, in two ways each."""
    client = record(folder / "log", seed)
    for way in range(2):
        assert cut_and_judge(client, folder, count=10_000, seed=seed + 1000 * way) == []
