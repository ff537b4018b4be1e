"""Can these tests see a breach? The disk does lose, tear and reorder; who trusts to luck is found out."""

from __future__ import annotations

from pathlib import Path

from tests.power.broken import NEVER_SYNCS
from tests.power.cuts import LOG, judge_log, record
from tests.power.disk import SECTOR, WAYS, Disk, Entry, Made, Removed, Resized, Synced, Wrote, disk_after
from tests.power.finding import first_breach
from tests.power.vfs import lay_out

OLD, NEW = b"o" * 4 * SECTOR, b"n" * 4 * SECTOR


def written() -> list[bytes | None]:
    """Write over what is synced; return what is there after cuts of many seeds."""
    disk = disk_after(
        [Made("f", 1), Wrote(1, 0, OLD), Synced(1, folder=True), Wrote(1, 0, NEW), Wrote(1, len(NEW), NEW)]
    )
    return [disk.after_cut(seed)[1].get("f") for seed in range(400)]


def test_a_cut_keeps_drops_tears_and_reorders() -> None:
    """What was not synced may be there, or not, the later without the earlier, a part, or a length."""
    found = set(written())
    assert {OLD, OLD + NEW, NEW, NEW + NEW} <= found
    torn = [one for one in found if one is not None and 0 < one[: len(OLD)].count(b"n") < len(OLD)]
    assert any(one.count(b"n") % SECTOR == 0 for one in torn)
    assert any(one.count(b"n") % SECTOR != 0 for one in torn)
    assert OLD + bytes(len(NEW)) in found


def test_what_is_synced_stays() -> None:
    """After a sync there is only one thing that can be found."""
    disk = disk_after(
        [Made("f", 1), Wrote(1, 0, OLD), Wrote(1, 5, NEW), Resized(1, 600), Synced(1, folder=True)]
    )
    assert {disk.after_cut(seed)[1]["f"] for seed in range(50)} == {(OLD[:5] + NEW)[:600]}


def test_names_are_sure_once_their_folder_is_synced() -> None:
    """A file that was made, or removed, may be there or not until its folder is synced."""
    made: list[Entry] = [Made("f", 1), Wrote(1, 0, OLD), Synced(1, folder=False)]
    removed: list[Entry] = [*made, Synced(1, folder=True), Removed("f", synced=False)]
    for entries in (made, removed):
        assert {"f" in disk_after(entries).after_cut(seed)[1] for seed in range(50)} == {True, False}
    sure = disk_after([*removed[:-1], Removed("f", synced=True)])
    assert {"f" in sure.after_cut(seed)[1] for seed in range(50)} == {False}


def test_a_failed_sync_is_not_made_good_by_the_next() -> None:
    """What a failed sync should have written may be missing for ever; what came after it is synced."""
    entries: list[Entry] = [
        *(Made("f", 1), Wrote(1, 0, OLD), Synced(1, folder=True)),
        *(Wrote(1, 0, NEW), Synced(1, folder=False, failed=True)),
        *(Wrote(1, len(OLD), NEW), Synced(1, folder=False)),
    ]
    found = {disk_after(entries).after_cut(seed)[1]["f"] for seed in range(50)}
    assert {OLD + NEW, NEW + NEW} <= found
    assert all(one.endswith(NEW) for one in found)
    kind = Disk(forgets=False)
    for entry in entries:
        kind.hear(entry)
    assert {kind.after_cut(seed)[1]["f"] for seed in range(50)} == {NEW + NEW}


def test_every_way_is_gone() -> None:
    """Seeds that follow one another go through all ways to lose power."""
    assert {Disk().after_cut(seed)[0] for seed in range(len(WAYS))} == {way.name for way in WAYS}


def test_a_torn_page_is_noticed(folder: Path) -> None:
    """A database of which a page was written by half is told from a sound one."""
    client = record(folder / "log", 0)
    files = disk_after(client.tape.entries).now()
    whole = bytearray(files[LOG])
    for torn in (False, True):
        for page in range(2 * torn, len(whole) // 4096 * torn, 3):
            whole[page * 4096 + 2048 : page * 4096 + 4096] = bytes(2048)
        lay_out(files | {LOG: bytes(whole)}, folder / "after")
        try:
            told = judge_log(folder / "after" / LOG, client.pictures[-1:])
        except Exception as error:  # noqa: BLE001 - however it is noticed
            told = str(error)
        assert bool(told) == torn


def test_a_store_that_does_not_sync_is_found_out() -> None:
    """A store that never waits for the disk loses what it acknowledged in some cut; the real one does not."""
    assert first_breach(NEVER_SYNCS) != ""
    assert first_breach() == ""
