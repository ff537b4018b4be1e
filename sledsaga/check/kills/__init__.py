"""Real processes, killed at every point of an operation, and what another one makes of what is left."""
