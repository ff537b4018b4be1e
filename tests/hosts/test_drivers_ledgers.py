"""A ledger survives the loss of a copy, and never takes damage or disagreement for absence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sledsaga.errors import Conflict, HostError, Mutates, Unparsable
from sledsaga.hosts.ledgers import Ledgers, Place, encode
from sledsaga.hosts.local import LocalHost

NAME = "config.json"


class Copies:
    """Two folders, as of two internal disks, on this machine."""

    def __init__(self, root: Path) -> None:
        self.a, self.b = root / "a", root / "b"
        self.problems: dict[Path, str] = {}
        for folder in (self.a, self.b):
            folder.mkdir()
        self.ledgers = Ledgers(LocalHost(), self.places)

    def places(self) -> tuple[Place, ...]:
        return tuple(Place(str(folder), self.problems.get(folder, "")) for folder in (self.a, self.b))

    def put(self, folder: Path, data: bytes) -> None:
        (folder / NAME).write_bytes(data)

    def bytes(self) -> list[bytes]:
        return [(folder / NAME).read_bytes() for folder in (self.a, self.b)]


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path)


def test_nothing_was_written(copies: Copies) -> None:
    """Two empty folders hold a ledger that was never written, of generation 0."""
    seen = copies.ledgers.read(NAME)
    assert (seen.data, seen.document, seen.generation) == (None, None, 0)
    assert [copy.state for copy in seen.copies] == ["absent", "absent"]


def test_a_commit_can_be_read_back(copies: Copies) -> None:
    """The first commit is generation 1, is on both disks, and keeps every field."""
    written = copies.ledgers.commit(NAME, {"unknown": {"kept": [1, "é"]}})
    seen = copies.ledgers.read(NAME)
    assert (len(written.written), written.is_degraded) == (2, False)
    assert seen.document == {"unknown": {"kept": [1, "é"]}, "generation": 1}
    assert (seen.generation, seen.is_degraded) == (1, False)


def test_the_highest_generation_wins(copies: Copies) -> None:
    """When one copy is newer, it is the one that is read, and the ledger is called degraded."""
    copies.ledgers.commit(NAME, {"v": 1})
    copies.put(copies.b, encode({"generation": 2, "v": 2}))
    seen = copies.ledgers.read(NAME)
    assert (seen.document, seen.is_degraded) == ({"generation": 2, "v": 2}, True)


def test_one_folder_lost(copies: Copies) -> None:
    """With one folder gone a commit is good and degraded; with both gone it fails and nothing is read."""
    copies.ledgers.commit(NAME, {"v": 1})
    (copies.a / NAME).unlink()
    copies.a.rmdir()
    written = copies.ledgers.commit(NAME, {"v": 2})
    assert (written.generation, written.is_degraded) == (2, True)
    assert [path for path, _ in written.failed] == [str(copies.a / NAME)]
    assert copies.ledgers.read(NAME).generation == 2
    (copies.b / NAME).unlink()
    copies.b.rmdir()
    with pytest.raises(HostError, match="failed to write any copy"):
        copies.ledgers.commit(NAME, {"v": 3})
    assert copies.ledgers.read(NAME).document is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"generation": "1"}', b'{"generation": -1}', b"\xff"]
)
def test_a_corrupt_copy_is_reported(copies: Copies, damage: bytes) -> None:
    """A damaged copy beside a good one is named; when all are damaged the ledger cannot be told."""
    copies.put(copies.a, damage)
    copies.put(copies.b, encode({"generation": 1}))
    seen = copies.ledgers.read(NAME)
    assert (seen.generation, seen.is_degraded) == (1, True)
    assert [copy.state for copy in seen.copies] == ["corrupt", "good"]
    assert seen.copies[0].why
    copies.put(copies.b, damage)
    with pytest.raises(Unparsable, match="no copy can be read"):
        copies.ledgers.read(NAME)
    with pytest.raises(Unparsable, match="no copy can be read"):
        copies.ledgers.commit(NAME, {})


def test_one_generation_has_one_content(copies: Copies) -> None:
    """Two contents of one generation are a conflict; older disagreement under a newer one is not."""
    copies.put(copies.a, encode({"generation": 1, "v": 1}))
    copies.put(copies.b, encode({"generation": 1, "v": 2}))
    with pytest.raises(Conflict, match="generation 1 has two contents"):
        copies.ledgers.read(NAME)


def test_generations_only_rise(copies: Copies) -> None:
    """A lower generation, or the same with another content, is refused; nothing was changed."""
    copies.ledgers.write(NAME, {"generation": 5, "v": 1})
    before = copies.bytes()
    with pytest.raises(Conflict, match="is at generation 5; 4 is outdated"):
        copies.ledgers.write(NAME, {"generation": 4, "v": 1})
    with pytest.raises(Conflict, match="generation 5 is taken by another content"):
        copies.ledgers.write(NAME, {"generation": 5, "v": 2})
    with pytest.raises(Unparsable, match="`generation`"):
        copies.ledgers.write(NAME, {"v": 2})
    assert copies.bytes() == before


def test_writing_the_same_again_repairs(copies: Copies) -> None:
    """The same document again writes only the copies whose bytes differ."""
    document = {"generation": 5, "v": 1}
    copies.ledgers.write(NAME, document)
    assert copies.ledgers.write(NAME, document).written == ()
    (copies.b / NAME).unlink()
    again = copies.ledgers.write(NAME, document)
    assert (again.written, again.unchanged) == ((str(copies.b / NAME),), (str(copies.a / NAME),))
    assert copies.bytes() == [encode(document)] * 2


def test_a_disk_that_is_away(copies: Copies) -> None:
    """A copy that cannot be reached is named with its reason; with none at hand nothing can be told."""
    copies.ledgers.commit(NAME, {"v": 1})
    copies.problems[copies.a] = "its dataset is not mounted"
    seen = copies.ledgers.read(NAME)
    assert (seen.generation, seen.copies[0].state, seen.copies[0].why) == (
        *(1, "unavailable", "its dataset is not mounted"),
    )
    copies.problems[copies.b] = "pulled"
    with pytest.raises(HostError, match="no internal disk is at hand"):
        copies.ledgers.read(NAME)


def test_no_internal_disk_is_known() -> None:
    """Without any internal disk a ledger is not "never written": it cannot be told."""
    with pytest.raises(HostError, match="none is known"):
        Ledgers(LocalHost(), tuple).read(NAME)


def test_a_write_can_be_undone(copies: Copies) -> None:
    """Undo gives back the bytes from before, or no file; after a later write it changes nothing."""
    first, second = encode({"generation": 1}), encode({"generation": 2})
    copies.ledgers.write(NAME, json.loads(first))
    copies.ledgers.write(NAME, json.loads(second))
    assert copies.ledgers.restore(NAME, mine=second, before=first)
    assert copies.bytes() == [first, first]
    assert not copies.ledgers.restore(NAME, mine=second, before=None)
    assert copies.ledgers.restore(NAME, mine=first, before=None)
    assert copies.ledgers.read(NAME).data is None


def test_a_copy_that_fell_beside_its_disk_failed(copies: Copies) -> None:
    """A copy that is not at its place afterwards was not written: its dataset came and went meanwhile."""

    class Slipping(LocalHost):
        def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
            super().write_file(path, data, mode=mode)
            if path.startswith(str(copies.a)):
                (copies.a / NAME).unlink()
            else:
                copies.problems[copies.b] = "its dataset is not mounted"

    with pytest.raises(HostError, match=r"mounted anew while it was written.*; its dataset is not mounted"):
        Ledgers(Slipping(), copies.places).write(NAME, {"generation": 1})


def test_who_only_looks_is_told_what_would_be_mended(copies: Copies) -> None:
    """A place that an operation would mount first is neither absent nor unavailable to one who only looks."""
    places = (Place(str(copies.a), "it is not mounted", is_mendable=True),)
    with pytest.raises(Mutates, match="it is not mounted"):
        Ledgers(LocalHost(), lambda: places).read(NAME)
