"""Code in documents runs: every Python block, top to bottom, prints what stands below it."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = ("docs/writing-an-operation.md", "README.md")
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> Iterator[tuple[int, str, str]]:
    """Yield each Python block of a document: its line, its code, and what it should print."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2] or ""


def run(code: str, where: str, module: types.ModuleType) -> str:
    """Run one block in a module and return what it printed, made the same for every machine."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, where, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the document's own code
    site = str(vars(module).get("site", "\0"))
    return printed.getvalue().replace(site, "SITE")


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if (ROOT / name).exists()])
def test_code_in_a_document_does_what_stands_below_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document is one program: each block runs after the one before, and its output is the next block."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    module = types.ModuleType(f"document_{re.sub(r'[^a-z]', '_', name)}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert list(blocks(name))
    for line, code, expected in blocks(name):
        assert run("\n" * line + code, name, module) == expected, f"{name}:{line}"
