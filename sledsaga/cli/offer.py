"""Verbs about what can be done: operations and plan. They never change anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from sledsaga.cli.complete import complete_operation
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.draw import as_text
from sledsaga.cli.inputs import read_params
from sledsaga.cli.root import root
from sledsaga.cli.tables import Table, Words
from sledsaga.cli.words import clean, one_line

if TYPE_CHECKING:
    from sledsaga.core.define import Operation


@verb(root, "operations")
@click.argument("name", required=False, shell_complete=complete_operation)
def operations(desk: Desk, *, name: str | None) -> None:
    r"""List what can be done; with NAME, show the params that it takes.

    \b
        sledsaga operations
        sledsaga operations provision-crdb --json | jq .operations[0].params

    Writes nothing.
    """
    from sledsaga.wiring import open_catalog

    catalog = open_catalog(desk.settings)
    found = list(catalog) if name is None else [catalog.get(name)]
    if desk.terminal.as_json:
        desk.terminal.json({"v": 1, "operations": [_to_json(one) for one in found]})
    elif name is not None:
        _show_params(desk, found[0])
    else:
        made = Table(("OPERATION", "VERSION", "SUMMARY"))
        for one in found:
            made.add_row(one.name, str(one.version), one_line(summary(one)))
        desk.terminal.show(made)


def summary(operation: Operation) -> str:
    """Return what an operation does, in one line: its own words, or its params' docstring."""
    return operation.summary or (operation.params.__doc__ or "").strip().partition("\n")[0]


def _to_json(operation: Operation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": operation.name,
        "version": operation.version,
        "summary": summary(operation),
    }
    return body | {"params": operation.params.model_json_schema()}


def _show_params(desk: Desk, operation: Operation) -> None:
    desk.terminal.show(f"{operation.name} v{operation.version}: {one_line(summary(operation))}\n")
    schema = operation.params.model_json_schema()
    desk.terminal.show(_params("PARAM", schema))
    for name, inner in schema.get("$defs", {}).items():
        if "properties" in inner:
            desk.terminal.show("", _params(name, inner))


def _params(title: str, schema: dict[str, Any]) -> Table:
    """Return the fields of one model as a table, from its JSON schema."""
    made = Table((clean(title), "TYPE", "DEFAULT", "MEANING"))
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else "-"
        shown = "(required)" if name in required else one_line(default)
        made.add_row(clean(name), _kind(field), shown, one_line(field.get("description", "")))
    return made


def _kind(schema: dict[str, Any]) -> str:
    """Return a type as a person would say it, from its JSON schema."""
    if "enum" in schema:
        return " | ".join(map(as_text, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(map(_kind, schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


@verb(root, "plan")
@click.argument("operation", shell_complete=complete_operation)
@click.option("-f", "--file", metavar="FILE", help="Params from a JSON, YAML or TOML file; - is stdin.")
@click.option("-p", "--param", "pairs", multiple=True, metavar="KEY=VALUE", help="One param; KEY:=JSON too.")
@click.option("--no-probe", is_flag=True, help="Do not look at the sled.")
def plan(desk: Desk, *, operation: str, file: str | None, pairs: tuple[str, ...], no_probe: bool) -> None:
    r"""Show what a saga of OPERATION would do, what would undo it, and what is already so.

    \b
        sledsaga plan provision-crdb -f crdb.yaml
        sledsaga submit provision-crdb -f crdb.yaml --plan "$(sledsaga plan … --json | jq -r .fingerprint)"

    Writes nothing, neither to the log nor to the sled: its host refuses every change.
    """
    from sledsaga.core.plan import plan
    from sledsaga.engine.preview import preview
    from sledsaga.wiring import Sleds, open_catalog

    known = open_catalog(desk.settings).get(operation)
    planned = plan(known, read_params(file, pairs))
    with Sleds(desk.settings.sled.value) as sleds:
        body = preview(planned, known, None if no_probe else sleds).to_json()
    if desk.terminal.as_json:
        desk.terminal.json(body)
    else:
        show_plan(desk, body)


def show_plan(desk: Desk, body: dict[str, Any]) -> None:
    """Show a plan, one step a line; what cannot be undone is marked."""
    desk.terminal.show(f"{body['operation']} v{body['version']}  {body['fingerprint'][:12]}\n")
    made = Table(("STEP", "NEEDS", "UNDO", "NOW"))
    for step in body["steps"]:
        kind, _, why = step["undo"].partition(": ")
        undo = Words(f"{kind}: {one_line(why)}" if why else kind, UNDO_STYLES[kind])
        made.add_row(clean(step["path"]), _some(step["needs"]), undo, one_line(step["probe"] or "-"))
    desk.terminal.show(made)
    for lock in body["locks"]:
        desk.terminal.show(f"needs {clean(lock['resource'])} ({lock['mode']})")


def _some(needs: list[str]) -> str:
    more = f" and {len(needs) - NEEDS_SHOWN} more" if len(needs) > NEEDS_SHOWN else ""
    return clean(", ".join(needs[:NEEDS_SHOWN])) + more or "-"


NEEDS_SHOWN: Final = 3
UNDO_STYLES: Final = {"undo": "green", "none": "dim", "irreversible": "bold red"}
