"""Pictures: what is below a folder, what differs, and a comparison for one's own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from sledsaga.check import files_below, leaves_nothing
from sledsaga.check.leaves import in_short, text_of


def test_what_is_left_is_told_with_a_diff(tmp_path: Path) -> None:
    """A file that is there afterwards fails the comparison, and is named as in a diff."""
    with (
        pytest.raises(AssertionError, match=r'(?s)not as it was before:.*\+ "left": "2 bytes, '),
        leaves_nothing(lambda: files_below(tmp_path)),
    ):
        (tmp_path / "left").write_text("ab")


def test_what_is_put_back_is_fine(tmp_path: Path) -> None:
    """Made and removed is as it was before."""
    with leaves_nothing(lambda: files_below(tmp_path)):
        (tmp_path / "short").mkdir()
        (tmp_path / "short").rmdir()


def test_an_error_within_is_told_as_it_is(tmp_path: Path) -> None:
    """What breaks inside is not hidden by what it left."""
    with pytest.raises(FileNotFoundError), leaves_nothing(lambda: files_below(tmp_path)):
        (tmp_path / "left").rename(tmp_path / "right")


def test_a_picture_of_files_tells_kinds_and_contents(tmp_path: Path) -> None:
    """Folders, links, files by size and content; what is left out is left out at the top."""
    (tmp_path / "sub" / "skip").mkdir(parents=True)
    (tmp_path / "skip").mkdir()
    (tmp_path / "sub" / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    seen = files_below(tmp_path, without=("skip",))
    assert set(seen) == {"sub", "link", "sub/skip", "sub/file"}
    assert (seen["sub"], seen["link"]) == ("dir", "-> nowhere")
    before = seen["sub/file"]
    (tmp_path / "sub" / "file").write_text("y")
    assert files_below(tmp_path)["sub/file"] != before


def test_a_short_difference_names_things_first() -> None:
    """Of a long difference the names are told, and how much more there is."""
    there = {"datasets": [{"atime": "on", "quota": None, "name": "rpool/toy", "zoned": "off", "z": 1}]}
    short = in_short(text_of({"datasets": []}), text_of(there))
    assert short.startswith('+ "name": "rpool/toy"')
    assert short.endswith("lines more")
    assert in_short("same", "same") == ""
