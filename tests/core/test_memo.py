"""What may stand beside the key of a cache without being a part of it."""

from __future__ import annotations

from functools import lru_cache

from sledsaga.core.memo import Unhashed


def test_a_cache_does_not_look_at_what_stands_beside_its_key() -> None:
    """What cannot be hashed, and is not equal, is the same to a cache when its key is."""

    @lru_cache
    def first_of(_key: str, beside: Unhashed[list[int]]) -> list[int]:
        return beside.it

    one, other = [1], [2]
    assert first_of("a", Unhashed(one)) is one
    assert first_of("a", Unhashed(other)) is one
    assert first_of("b", Unhashed(other)) is other
