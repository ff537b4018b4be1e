"""The command itself: its name, its help, and the table of exit codes below it."""

from __future__ import annotations

import click

from sledsaga.cli.codes import table_of_codes
from sledsaga.cli.desk import as_help, shared_options

EPILOG = f"""\b
Exit codes:
{table_of_codes()}

\b
Without --db the log is .sledsaga/log.db in the current directory, and without --sled the machine is the
simulated one in .sledsaga/sled. An id may be cut to any beginning that only one saga has.
"""


def show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    """Print the version and end."""
    if value and not context.resilient_parsing:
        from sledsaga import __version__

        click.echo(f"sledsaga {__version__}")
        context.exit()


HELP = r"""Run operations on a sled as sagas: every step recorded, every failure undone, every crash survived.

\b
    sledsaga operations                           what can be done
    sledsaga plan provision-crdb -f crdb.yaml     what it would do
    sledsaga submit provision-crdb -f crdb.yaml   do it
    sledsaga list                                 what was done, and what needs you
    sledsaga recover                              go on after a crash
"""


@click.group(
    "sledsaga",
    help=as_help(HELP),
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version and end.",
)
@shared_options
def root() -> None:
    """Read the options before the verb; the verb does the rest."""
