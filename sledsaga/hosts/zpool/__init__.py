"""Pools: the command lines of `zpool` and `fstyp`, what they print, and the driver over both."""
