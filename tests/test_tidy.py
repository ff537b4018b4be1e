"""The house rules that no linter knows: sizes, names, docstrings, and the files at the top.

Rules
- Code is read as text and as syntax; nothing is imported but the package itself.
- A rule names every place that breaks it, so that one run is enough to mend them all.
- A rule about a file that is still to be written holds from the day that it exists.
"""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import tomllib
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from sledsaga.hosts.linux.machine import RUNTIMES

ROOT = Path(__file__).parent.parent
PROGRAM = ("sledsaga", "sagas")
PYTHON = (*PROGRAM, "migrations", "tests", "examples", "bench")
FILE_LINES = 500
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 10  # 8 is the aim
POSITIONAL = 4
BANNED = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
REASON = re.compile(r"#(?: noqa: [A-Z0-9, ]+ -)? \w.{8,}")
TOP_FOLDERS = {
    ".ci",
    ".git",
    ".github",
    "bench",
    "docs",
    "examples",
    "migrations",
    "sagas",
    "sledsaga",
    "tests",
}
TOP_WORDS = {"ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md"}
TOP_TOOLS = {".editorconfig", ".gitignore", "Makefile", "pyproject.toml"}
IMPURE = {"now", "utcnow", "today", "uuid1", "uuid4", "uuid7", "urandom", "open", "print", "input"}
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files(*folders: str) -> tuple[Path, ...]:
    """List the Python files below these folders."""
    return tuple(sorted(chain.from_iterable((ROOT / folder).rglob("*.py") for folder in folders)))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, line: int = 1) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, Function)]


def length(function: Function) -> int:
    """Count a function's lines, its decorators and docstring left out."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or 0) - docstring.lineno + 1)


def public(scope: ast.Module | ast.ClassDef) -> list[Function | ast.ClassDef]:
    """List the public functions and classes of a scope, and the public methods of its public classes."""
    here = [
        node
        for node in scope.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    return here + [inner for node in here if isinstance(node, ast.ClassDef) for inner in public(node)]


def is_implemented_elsewhere(function: ast.AST) -> bool:
    """Tell whether a property setter or an overload leaves its docstring to its twin."""
    decorators = {ast.unparse(d) for d in getattr(function, "decorator_list", [])}
    return any(name.endswith((".setter", "overload")) for name in decorators)


def positional(function: Function) -> int:
    """Count the arguments that a caller may give by position."""
    names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def swallows_all(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler takes every exception and does not end by raising it again."""
    caught = {
        node.id for node in ast.walk(handler.type or ast.Name("Exception")) if isinstance(node, ast.Name)
    }
    last = handler.body[-1]
    raises_again = isinstance(last, ast.Raise) and last.exc is None
    return bool(caught & {"Exception", "BaseException"}) and not raises_again


def words(name: str) -> set[str]:
    """Split a name into lower-case words: `SagaManager` and `saga_manager` alike."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def drawn_tree(docstring: str) -> dict[str, str | None]:
    """Read a tree drawn with box characters, 4 columns a level: each name and the name above it."""
    parents: dict[str, str | None] = {}
    stack: list[str] = []
    for line in docstring.splitlines():
        if match := re.match(r"^ {4}((?:│   |    |├── |└── )*)([A-Z]\w+)(?:  .*)?$", line):
            depth = len(match[1]) // 4
            parents[match[2]] = stack[depth - 1] if depth else None
            stack[depth:] = [match[2]]
    return parents


def test_files_are_short() -> None:
    """No file is longer than 500 lines."""
    assert [place(path) for path in files(*PYTHON) if len(path.read_text().splitlines()) > FILE_LINES] == []


def test_functions_are_short() -> None:
    """No function is longer than 60 lines, its docstring left out."""
    long = [
        f"{place(path, function.lineno)} {function.name}: {length(function)}"
        for path in files(*PYTHON)
        for function in functions(path)
        if length(function) > FUNCTION_LINES
    ]
    assert long == []


def test_the_median_function_is_very_short() -> None:
    """Half of the program's functions have at most a handful of lines."""
    lengths = [length(function) for path in files(*PROGRAM) for function in functions(path)]
    assert statistics.median(lengths) <= MEDIAN_FUNCTION_LINES


def test_arguments_beyond_four_are_named() -> None:
    """No function takes more than 4 arguments by position; steps may, for theirs come by name."""
    wide = [
        f"{place(path, function.lineno)} {function.name}: {positional(function)}"
        for path in files("sledsaga")
        for function in functions(path)
        if positional(function) > POSITIONAL
    ]
    assert wide == []


def test_the_core_asks_no_clock_and_no_chance() -> None:
    """The core may show a time that it was given, but never asks for one, nor for a random id."""
    asked = [
        f"{place(path, node.lineno)} {ast.unparse(node)}"
        for path in files("sledsaga/core")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in IMPURE
    ]
    assert asked == []


def test_nothing_is_named_for_being_anything() -> None:
    """No file, class or function is a util, common, helper, manager or base."""
    modules = [place(path) for path in files(*PYTHON) if words(path.stem) & BANNED]
    names = [
        f"{place(path, node.lineno)} {node.name}"
        for path in files(*PYTHON)
        for node in ast.walk(parsed(path))
        if isinstance(node, Function | ast.ClassDef) and words(node.name) & BANNED
    ]
    assert modules + names == []


def test_every_file_says_what_it_is() -> None:
    """Every Python file opens with a docstring."""
    assert [place(path) for path in files(*PYTHON) if not ast.get_docstring(parsed(path))] == []


def test_public_names_are_documented() -> None:
    """Every public class, function and method of the program has a docstring."""
    silent = [
        f"{place(path, node.lineno)} {node.name}"
        for path in files("sledsaga")
        for node in public(parsed(path))
        if not ast.get_docstring(node) and not is_implemented_elsewhere(node)
    ]
    assert silent == []


def test_every_test_tells_its_behaviour() -> None:
    """Every test function has a docstring."""
    silent = [
        f"{place(path, function.lineno)} {function.name}"
        for path in files("tests")
        for function in functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_nothing_is_left_for_later() -> None:
    """No file carries a mark of unfinished work."""
    marks = [
        place(path, number)
        for path in files(*PYTHON)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert marks == []


def test_whoever_swallows_everything_says_why() -> None:
    """A handler for every exception raises it again, or gives its reason in a comment on its line."""
    unexplained = [
        place(path, node.lineno)
        for path in files(*PYTHON)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler) and swallows_all(node)
        if not REASON.search(path.read_text().splitlines()[node.lineno - 1])
    ]
    assert unexplained == []


def test_every_silenced_rule_has_a_reason() -> None:
    """A `noqa` or `type: ignore` names its rule and says why, on the same line."""
    bare = [
        place(path, number)
        for path in files(*PYTHON)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(
            r"#\s*(?:no" + r"qa|type: ig" + r"nore)(?!(?:: |\[)[\w, -]+?\]?\s+(?:-|#) \w.{5,})", line
        )
    ]
    assert bare == []


def test_the_error_tree_is_drawn_as_it_is() -> None:
    """The tree atop errors.py shows every class of the file below the class that it comes from."""
    module = parsed(ROOT / "sledsaga" / "errors.py")
    real = {
        node.name: ast.unparse(node.bases[0])
        for node in module.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    drawn = drawn_tree(ast.get_docstring(module) or "")
    assert {name: above or "Exception" for name, above in drawn.items()} == real


def test_the_package_exports_what_it_names() -> None:
    """`sledsaga.__all__` names each thing once, all can be had, and nothing else of ours lies open."""
    if not (ROOT / "sledsaga" / "__init__.py").exists():
        pytest.skip("the package has no front yet")
    package = importlib.import_module("sledsaga")
    names = list(package.__all__)
    ours = {
        name
        for name, thing in vars(package).items()
        if not name.startswith("_") and str(getattr(thing, "__module__", "")).startswith("sledsaga")
    }
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(package, name)] == []
    assert ours <= set(names)


def test_every_make_target_is_explained() -> None:
    """The README names each target that `make help` lists."""
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README yet")
    text = readme.read_text()
    assert [name for name in targets if f"make {name}" not in text and name != "help"] == []


def test_the_top_of_the_tree_is_tidy() -> None:
    """Beside what git ignores, the top folder holds only what the house has a room for."""
    allowed = TOP_FOLDERS | TOP_WORDS | TOP_TOOLS
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line}
    here = {path for path in ROOT.iterdir() if not any(path.match(pattern) for pattern in ignored)}
    assert sorted(path.name for path in here if path.name not in allowed) == []


def test_the_changelog_keeps_its_shape() -> None:
    """The changelog follows Keep a Changelog, and speaks of the version that the package has."""
    text = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"^## \[(.+?)\](.*)$", text, flags=re.MULTILINE)
    assert text.startswith("# Changelog\n")
    assert releases[0] == ("Unreleased", "")
    assert [r for r in releases[1:] if not re.fullmatch(r" - \d{4}-\d\d-\d\d", r[1])] == []
    assert set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE)) <= CHANGES


def test_every_linter_exception_has_a_reason() -> None:
    """Each rule that pyproject switches off carries its reason beside it."""
    text = (ROOT / "pyproject.toml").read_text()
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    rules = {*lint["ignore"], *chain.from_iterable(lint["per-file-ignores"].values())}
    lines = [line for line in text.splitlines() if re.match(r'    "[A-Z]+\d*",', line)]
    assert {line.split('"')[1] for line in lines} == rules
    assert [line for line in lines if not re.search(r"# \w.{4,}", line)] == []


def test_ci_brings_every_runtime_of_zones() -> None:
    """What zones may be run by is installed where CI runs, so none of its tests is skipped there."""
    text = (ROOT / ".ci" / "run").read_text()
    assert [one for one in RUNTIMES if f"\nlacks {one} {one}\n" not in text] == []
