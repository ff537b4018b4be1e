"""Machines: the one seam to them, the local one, the simulated one, and the drivers above it."""
