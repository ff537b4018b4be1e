"""The durable log: its protocol, and where it can be kept."""
