"""Problem documents: every error has one, and comes back as what it was."""

from __future__ import annotations

import pytest

from sledsaga import errors
from sledsaga.web.problems import CLASSES, HTTP_PROBLEMS, PROBLEMS, error_of, http_problem, problem_of


@pytest.mark.parametrize("code", sorted(CLASSES.keys() - {row.code for row in HTTP_PROBLEMS.values()}))
def test_an_error_comes_back_as_what_it_was(code: str) -> None:
    """Each class of the tree goes to a document and back, with its message."""
    error = CLASSES[code]("what came, what was expected")
    document = problem_of(error)
    back = error_of(document, document["status"])
    assert (type(back), str(back), document["code"]) == (type(error), str(error), code)


def test_every_class_has_a_row_or_is_a_host_error() -> None:
    """Only the leaves of HostError share a row; a new class must take its own."""
    without = {kind for kind in CLASSES.values() if kind not in PROBLEMS}
    assert {kind for kind in without if not issubclass(kind, errors.HostError)} == set()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, errors.NotFound),
        (412, errors.Conflict),
        (413, errors.TooLarge),
        (428, errors.UsageError),
        (500, errors.SledsagaError),
    ],
)
def test_what_only_http_gets_wrong_is_an_error_too(status: int, kind: type[Exception]) -> None:
    """A problem of HTTP alone becomes the nearest class of the tree."""
    assert type(error_of(http_problem(status, "why"), status)) is kind


@pytest.mark.parametrize(("status", "kind"), [(418, errors.UsageError), (502, errors.SledsagaError)])
def test_an_unknown_code_goes_by_its_status(status: int, kind: type[Exception]) -> None:
    """A document of a newer executor is still an error of the right half."""
    error = error_of({"code": "tea", "title": "No coffee"}, status)
    assert (type(error), str(error)) == (kind, "No coffee")


def test_a_status_without_a_row_is_a_bad_request() -> None:
    """A status that has no row of its own keeps its number."""
    assert http_problem(418, "a pot")["status"] == 418
