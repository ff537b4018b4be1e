"""The logger of the diagnostics: silent for users of the library until they turn it on.

`sledsaga.observe.enable()` does, or loguru's own `logger.enable("sledsaga")` after this was imported.
"""

from loguru import logger

__all__ = ["logger"]

logger.disable("sledsaga")
