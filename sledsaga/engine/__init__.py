"""The shell around the pure core: it performs what must be running and records what came of it."""
