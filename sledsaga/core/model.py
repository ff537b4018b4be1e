"""The parent of params and of structured outputs. In a file of its own: who reads a log needs no pydantic."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen, strict-keyed pydantic model: the parent of params and of structured outputs.

    A number that JSON does not have (NaN, infinity) is refused where it is to be stored, not stored as null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
