"""`python -m sledsaga` is the same as the `sledsaga` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line; it is imported only now, so that importing this file costs nothing."""
    from sledsaga.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
