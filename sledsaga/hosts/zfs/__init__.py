"""Datasets: the command lines of `zfs`, what they print, what to change, and the driver over all three."""
