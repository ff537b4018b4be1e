"""A disk may be a partition: what blkid tells of the partition itself is not taken for something in it."""

from __future__ import annotations

import pytest

from sledsaga.errors import Unparsable
from sledsaga.hosts.host import Completed
from sledsaga.hosts.linux.labels import parse_signature

PLACE = """\
DEVNAME=/dev/vdc1
PART_ENTRY_SCHEME=dos
PART_ENTRY_TYPE=0xbf
PART_ENTRY_NUMBER=1
PART_ENTRY_OFFSET=2048
PART_ENTRY_SIZE=522240
PART_ENTRY_DISK=254:32
"""
"""What `blkid -p -o export` of util-linux 2.38 says of a blank partition, with exit code 0."""


@pytest.mark.parametrize(
    ("more", "found"), [("", None), ("LABEL=somebody\nTYPE=ext4\nUSAGE=filesystem\n", "ext4")]
)
def test_a_partition_is_what_is_in_it(more: str, found: str | None) -> None:
    """A blank partition is blank, and one with a file system has that."""
    assert parse_signature(Completed(("blkid", "/dev/vdc1"), 0, PLACE + more)) == found


def test_something_without_a_type_is_not_blank() -> None:
    """What blkid can tell anything else of is never taken for blank."""
    with pytest.raises(Unparsable, match="neither TYPE nor PTTYPE"):
        parse_signature(Completed(("blkid", "/dev/vdc1"), 0, f"{PLACE}LABEL=somebody\n"))
