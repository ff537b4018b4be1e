"""Draws a flame graph of stacks that a sampler has counted.

    py-spy record -F -r 250 -f raw -o stacks.txt -- python -m bench …
    python -m bench.flame stacks.txt docs/flame.svg

Wide is much time; below what calls, above what is called. Threads stand side by side. What is narrower than
a thousandth is left out. Only frames at or above one of ROOTS are drawn: what starts a program is not shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

WIDTH: Final = 1200.0
HEIGHT: Final = 17
LETTER: Final = 6.4
LEAST: Final = 0.001
ROOTS: Final[dict[str, str]] = {
    "Executor._do": "a turn",
    "Coroutines._make_calls": "steps",
    "Engine.submit_many": "who submits",
}
COLOURS: Final = {"store": "#8fb8de", "core": "#f2c57c", "engine": "#f0a58f", "": "#d9d9d9"}


@dataclass(slots=True)
class Frame:
    """A function in the place where it was called, and the samples that were in it."""

    name: str
    samples: int = 0
    inner: dict[str, Frame] = field(default_factory=dict)

    def add(self, names: list[str], samples: int) -> None:
        """Count a stack that passes here."""
        self.samples += samples
        if names:
            self.inner.setdefault(names[0], Frame(names[0])).add(names[1:], samples)


def read(lines: Iterable[str]) -> Frame:
    """Read stacks, each with its count: `outer;inner 12`."""
    whole = Frame("all")
    for line in lines:
        stack, _, count = line.rpartition(" ")
        names = stack.split(";")
        at = next((i for i, name in enumerate(names) if name.split(" (")[0] in ROOTS), None)
        if at is not None:
            whole.add([ROOTS[names[at].split(" (")[0]], *names[at:]], int(count))
    return whole


def rectangles(frame: Frame, x: float, depth: int, scale: float) -> Iterator[tuple[Frame, float, float, int]]:
    """Yield every frame that is wide enough, with its place and width."""
    width = frame.samples * scale
    if width < LEAST * WIDTH:
        return
    yield frame, x, width, depth
    for inner in sorted(frame.inner.values(), key=lambda one: one.name):
        yield from rectangles(inner, x, depth + 1, scale)
        x += inner.samples * scale


def svg(whole: Frame) -> str:
    """Return the picture."""
    found = list(rectangles(whole, 0.0, 0, WIDTH / max(1, whole.samples)))
    height = (max(depth for *_, depth in found) + 1) * HEIGHT
    shapes = "\n".join(
        _shape(frame, x, width, height - (depth + 1) * HEIGHT, f"{frame.samples / whole.samples:.1%}")
        for frame, x, width, depth in found
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height}" '
        f'font-family="monospace" font-size="11">\n{shapes}\n</svg>\n'
    )


def _shape(frame: Frame, x: float, width: float, y: int, share: str) -> str:
    name = escape(frame.name)
    part = name.split("sledsaga/")[-1].split("/")[0] if "sledsaga/" in name else ""
    label = name.split(" (")[0][: int(width / LETTER)]
    return (
        f'<g><title>{name}: {share}</title><rect x="{x:.1f}" y="{y}" '
        f'width="{max(0.5, width - 0.5):.1f}" height="{HEIGHT - 1}" fill="{COLOURS.get(part, COLOURS[""])}"/>'
        f'<text x="{x + 2:.1f}" y="{y + 12}">{label if len(label) > 2 else ""}</text></g>'  # noqa: PLR2004 - too short to read
    )


def main() -> None:
    """Draw what the arguments name."""
    stacks, picture = map(Path, sys.argv[1:3])
    picture.write_text(svg(read(stacks.read_text().splitlines())))


if __name__ == "__main__":
    main()
