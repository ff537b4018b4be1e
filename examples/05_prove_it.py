"""An operation is tried at every point that it has; the mistake in it is found before anybody's data is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sledsaga import Model, no_undo, operation, step
from sledsaga.check import Subject, check


class Params(Model):
    """Where to work."""

    folder: Path


def journal(params: Params) -> int:
    """Append a line, which is one line too many when the step is called twice."""
    with (params.folder / "journal.txt").open("a") as file:
        return file.write("begun\n")


def journal_once(params: Params) -> int:
    """Write the whole file, which is the same however often it is done."""
    return (params.folder / "journal.txt").write_text("begun\n")


def undo_journal(params: Params) -> None:
    """Remove the file if it is there."""
    (params.folder / "journal.txt").unlink(missing_ok=True)


def told(journal: int) -> str:
    """Say how much was written."""
    return f"{journal} bytes"


LAST = step(told, undo=no_undo("it only tells"))
BAD = operation("journal", version=1, params=Params, steps=[step(journal, undo=undo_journal), LAST])
MENDED = step(journal_once, undo=undo_journal, name="journal")
GOOD = replace(BAD, version=2, steps=(MENDED, LAST))


def main() -> None:
    """Try both."""
    for one in (BAD, GOOD):
        report = check(Subject(one, lambda folder: {"folder": folder}))
        print(f"{one.name} v{one.version} is proven: {report.ok}")
        for row in report.rows:
            print(f"  {row.check}: {row.passed} of {row.total}" + (f", {row.nothing}" if row.nothing else ""))
            for point in row.failures:
                print(f"    not at: {point.name}")


if __name__ == "__main__":
    main()
