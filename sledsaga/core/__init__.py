"""The pure part: what a saga is, what happened to it, and what must be running now.

Nothing in here does I/O, reads a clock, starts a thread or writes diagnostics: values in, values out.
"""
