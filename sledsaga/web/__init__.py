"""The HTTP API of an executor, over its unix socket."""
