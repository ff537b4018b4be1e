"""Transcripts in documents: each `$` line is run in a shell, and what it prints stands below it.

    python tests/docs/transcript.py README.md

runs the document's `console` blocks, one after the other in one new folder, and writes what they print into
it. Other blocks that begin with a name (`# crdb.yaml`) are files of that folder. Two outputs are the same if
they differ only in ids, times, durations, names of people and processes, and the width of columns.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CONSOLE = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
KILLED = 137
DIFFERENT_EACH_TIME = {
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b": "ID",
    r"\b[0-9a-f]{8}-[0-9a-f]{3,4}\b": "ID",
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ": "TIME",
    r"\b\d\d:\d\d:\d\dZ": "TIME",
    r"\b[\w.-]+:\d+:[0-9a-f]{8}\b": "EXECUTOR",
    r"\b[\w.-]+@[\w.-]+": "PERSON",
    r"\b\d+(?:\.\d)? (?:s|min)\b": "DURATION",
    r" {2,}": "  ",
}


def rewritten(text: str) -> str:
    """Return a document with its console blocks as they are when they are run now."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in FILE.findall(text):
            (folder / file).write_text(content)
        return CONSOLE.sub(lambda match: _block(match[1], lambda line: run(line, folder)), text)


def _block(block: str, output: Callable[[str], str]) -> str:
    lines = [line for line in block.splitlines() if line.startswith("$ ")]
    body = "".join(f"{line}\n{output(line[2:])}" for line in lines)
    return f"```console\n{body}```\n"


def run(line: str, folder: Path) -> str:
    """Run one line in a shell, with this Python's `sledsaga`; return all that a person would see."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("SLEDSAGA_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", f"{line}; exit $?"],
        cwd=folder,
        env=plain | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    if ran.returncode == KILLED:
        return "Killed\n"
    return "".join(f"{text.rstrip()}\n" for text in ran.stdout.splitlines())


def normalised(text: str) -> str:
    """Return a text without what is different each time."""
    for pattern, word in DIFFERENT_EACH_TIME.items():
        text = re.sub(pattern, word, text)
    return text


if __name__ == "__main__":
    for document in map(Path, sys.argv[1:]):
        document.write_text(rewritten(document.read_text(encoding="utf-8")), encoding="utf-8")
