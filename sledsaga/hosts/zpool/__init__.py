"""Pools: the command lines of `zpool`, what it prints, and the driver over both."""
