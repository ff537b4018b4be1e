"""The proof: every interleaving and crash explored, and suites for any store, host and operation."""
