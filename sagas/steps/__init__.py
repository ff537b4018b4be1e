"""The steps that operations share, one kind of thing a file, each undo beside its do.

Rules
- Every do and undo looks before it acts, and may be run twice or be killed between any two commands.
- What a thing was before is the output of a step that only looks and that comes first. So it is in the log
  before anything changes, and an undo knows it although its own step was lost midway.
- An undo takes away what carries this saga's tag, gives everything else back what it had, and refuses the
  rest.
"""
