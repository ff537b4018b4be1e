"""An operation of two steps, run in memory: the output of one is the input of the other."""

from __future__ import annotations

from sledsaga import Model, no_undo, open_engine, operation, step


class Params(Model):
    """Who is greeted."""

    name: str


def greeting(params: Params) -> str:
    """Return the greeting; the log keeps what a step returns."""
    return f"Hello, {params.name}"


def letters(greeting: str) -> int:
    """Count it; the parameter is named after the step that it comes from, which also makes the order."""
    return len(greeting)


HELLO = operation(
    "hello",
    version=1,
    params=Params,
    steps=[
        step(greeting, undo=no_undo("a greeting leaves nothing")),
        step(letters, undo=no_undo("a count leaves nothing")),
    ],
)


def main() -> None:
    """Run one saga until it rests, and show what is known of it."""
    with open_engine(db="memory:", operations=[HELLO]) as engine:
        saga = engine.run("hello", {"name": "sled"})
        print(f"{saga.operation} v{saga.version}: {saga.state}")
        for one in saga.steps:
            print(f"  {one.path}: {one.state}, output {one.output!r}")
        for recorded in engine.events(saga.id):
            print(f"  event {recorded.seq}: {type(recorded.event).__name__}")


if __name__ == "__main__":
    main()
