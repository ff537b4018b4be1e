"""Params: from JSON, YAML, TOML, stdin and pairs; and what is refused, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sledsaga.cli.inputs import read_document, read_params
from sledsaga.errors import InvalidParams, SledsagaError, TooLarge, UsageError

DOCUMENTS = {
    "a.json": '{"name": "x", "sizes": [1, 2], "deep": {"ok": true}}',
    "a.yaml": "name: x\nsizes: [1, 2]\ndeep:\n  ok: true\n",
    "a.yml": 'name: x\nsizes: [1, 2]\ndeep: {"ok": true}\n',
    "a.toml": 'name = "x"\nsizes = [1, 2]\n[deep]\nok = true\n',
}


@pytest.mark.parametrize("name", [*DOCUMENTS, "json", "yaml", "toml"])
def test_all_notations_mean_the_same(tmp_path: Path, name: str) -> None:
    """JSON, YAML and TOML give the same params, by their ending or, without one, by their looks."""
    file = tmp_path / name
    file.write_text(DOCUMENTS[name] if name in DOCUMENTS else DOCUMENTS[f"a.{name}"])
    assert read_document(str(file)) == {"name": "x", "sizes": [1, 2], "deep": {"ok": True}}


def test_dates_become_text(tmp_path: Path) -> None:
    """What JSON has no word for, as TOML's dates, arrives as JSON would have it."""
    file = tmp_path / "a.toml"
    file.write_text("day = 2031-05-06\n")
    assert read_document(str(file)) == {"day": "2031-05-06"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "a: [b", "line 1|line 2"),
        ("a.json", '{"a": }', "line 1, column 7"),
        ("a.toml", "a = ", "no TOML"),
        ("a.json", "[1]", "not a list"),
        ("a.yaml", "", "not nothing"),
        ("a.json", '{"a": 1, "a": 2}', "'a' is given twice"),
        ("a.json", '{"a": NaN}', "NaN is no JSON number"),
        ("a.yaml", "a: .nan", "JSON cannot"),
        ("a.json", "[" * 100_000, "nested too deeply|not a list|column"),
        ("a.yaml", "a: !!python/object:os.system {}", "no YAML"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    """A document that cannot be read is refused in one line that names the file and what is wrong."""
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InvalidParams, match=said) as refused:
        read_document(str(file))
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is refused by name."""
    with pytest.raises(InvalidParams, match=r"gone\.json: No such file"):
        read_document(str(tmp_path / "gone.json"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file that is no UTF-8 is refused with the place of the first bad byte."""
    file = tmp_path / "a.json"
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InvalidParams, match=r"no UTF-8 text \(byte 8\)"):
        read_document(str(file))


def test_growing_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A short YAML document whose aliases grow without end is refused as too large."""
    file = tmp_path / "a.yaml"
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    file.write_text("\n".join(rows))
    with pytest.raises(TooLarge, match="pass a reference"):
        read_document(str(file))


@pytest.mark.parametrize(
    ("pair", "body"),
    [
        ("a=1", {"a": "1"}),
        ("a:=1", {"a": 1}),
        ('a=["x", 1]', {"a": ["x", 1]}),
        ("a={not json", {"a": "{not json"}),
        ("a.b.c=x", {"a": {"b": {"c": "x"}}}),
        ("a==b", {"a": "=b"}),
        ("a=", {"a": ""}),
    ],
)
def test_pairs_are_text_unless_they_are_json(pair: str, body: object) -> None:
    """`key=value` is text, `key:=JSON` is JSON, and a dot goes one object deeper."""
    assert read_params(None, [pair]) == body


def test_pairs_win_over_the_file(tmp_path: Path) -> None:
    """A pair replaces what the file says, and leaves the rest."""
    file = tmp_path / "a.json"
    file.write_text('{"a": 1, "b": {"c": 2, "d": 3}}')
    assert read_params(str(file), ["b.c=x"]) == {"a": 1, "b": {"c": "x", "d": 3}}


@pytest.mark.parametrize("pair", ["a", "=x", ":=1", "a:=nonsense"])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    """Something that is not key=value is refused with an example."""
    with pytest.raises(UsageError):
        read_params(None, [pair])


def test_a_pair_cannot_go_into_what_is_no_object() -> None:
    """A dotted key whose beginning is text already is refused."""
    with pytest.raises(SledsagaError, match="'a' is no object"):
        read_params(None, ["a=1", "a.b=2"])
