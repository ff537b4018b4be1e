"""Do annotated types fit, before anything runs? A checker of what can be known; doubt is let pass.

Rule: an error here is certain. What cannot be decided from annotations alone (type variables,
protocols, new types of equal base) is left to validation at run time.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from typing import Any

from sledsaga.core.expand import ANY


def fits(given: Any, wanted: Any) -> bool:  # noqa: ANN401 - annotations are of any kind
    """Say whether a value annotated `given` may stand where `wanted` is annotated."""
    given, wanted = _bare(given), _bare(wanted)
    if ANY in (given, wanted) or Any in (given, wanted) or given == wanted:
        return True
    if _is_union(given):
        return all(fits(arm, wanted) for arm in typing.get_args(given))
    if _is_union(wanted):
        return any(fits(given, arm) for arm in typing.get_args(wanted))
    return _classes_fit(typing.get_origin(given) or given, typing.get_origin(wanted) or wanted) and _args_fit(
        typing.get_args(given), typing.get_args(wanted)
    )


def fits_each(given: Sequence[Any], wanted: Any) -> bool:  # noqa: ANN401 - annotations are of any kind
    """Say whether values of these types, as a list, may stand where `wanted` is annotated."""
    wanted = _bare(wanted)
    if _is_union(wanted):
        return any(fits_each(given, arm) for arm in typing.get_args(wanted))
    arms = typing.get_args(wanted)
    origin = typing.get_origin(wanted) or wanted
    if wanted in (ANY, Any):
        return True
    if not arms:
        return origin is tuple or _classes_fit(list, origin)
    if origin is tuple and ... not in arms:
        return len(arms) == len(given) and all(map(fits, given, arms))
    return (origin is tuple or _classes_fit(list, origin)) and all(fits(one, arms[0]) for one in given)


def _bare(hint: Any) -> Any:  # noqa: ANN401 - annotations are of any kind
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        else:
            return type(None) if hint is None else hint


def _is_union(hint: Any) -> bool:  # noqa: ANN401 - annotations are of any kind
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _classes_fit(given: Any, wanted: Any) -> bool:  # noqa: ANN401 - annotations are of any kind
    if not (isinstance(given, type) and isinstance(wanted, type)):
        return True
    try:
        return issubclass(given, wanted) or (given is int and wanted is float)
    except TypeError:  # protocols and typed dicts do not answer; validation at run time does
        return True


def _args_fit(given: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    return len(given) != len(wanted) or all(map(fits, given, wanted))  # what is no type, such as `...`, fits
