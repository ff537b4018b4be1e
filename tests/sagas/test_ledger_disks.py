"""Internal disks come and go round a ledger's write: what was not seen before is not written, nor undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sagas.steps import ledger
from sledsaga.engine.context import Context
from sledsaga.errors import HostError
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.sled import Sled

Labs = Callable[[str], Any]
NAME = "config.json"
OLD, NEW = {"generation": 1, "v": "old"}, {"generation": 2, "v": "new"}
CLOSE = {
    "unmounted": (("zfs", "unmount", "{}/config"), ("zfs", "mount", "{}/config")),
    "exported": (("zpool", "export", "{}"), ("zpool", "import", "{}")),
}


@pytest.mark.parametrize("way", CLOSE)
def test_a_copy_that_was_away_is_neither_written_nor_undone(labs: Labs, way: str) -> None:
    """A disk that comes after the look keeps what it holds; the write tells of it, the undo lets it be."""
    lab = labs("blank")
    sled: Sled = lab.sled(Context("saga", "none", "none"))
    first, second = (place.path for place in sled.ledger_places())
    pool = next(each.name for each in sled.pools.list() if second.startswith(each.name.mountpoint))
    close, bring = ([word.format(pool) for word in words] for words in CLOSE[way])

    def run(words: list[str]) -> None:
        assert sled.host.run(HostCommand(tuple(words), mutates=True)).code == 0

    sled.ledgers.write(NAME, OLD)
    old = sled.host.read_file(f"{second}/{NAME}")
    run(close)
    before = ledger.look(sled=sled, name=NAME)
    run(bring)
    written = ledger.write(sled=sled, name=NAME, document=NEW, before=before)
    assert (written.copies, len(written.missing)) == ([f"{first}/{NAME}"], 1)
    run(close)
    ledger.undo_write(sled=sled, name=NAME, document=NEW, before=before)
    run(bring)
    assert [sled.host.read_file(f"{path}/{NAME}") for path in (first, second)] == [old, old]


def test_a_ledger_is_not_written_where_nothing_was_seen(labs: Labs) -> None:
    """When every disk that was seen has gone, the write fails, whichever others have come."""
    lab = labs("blank")
    sled: Sled = lab.sled(Context("saga", "none", "none"))
    before = ledger.LedgerSeen(generation=0, newest=None, copies={}, contents={})
    with pytest.raises(HostError, match="was not at hand when it was looked at"):
        ledger.write(sled=sled, name=NAME, document=NEW, before=before)
    assert sled.ledgers.read(NAME).data is None
