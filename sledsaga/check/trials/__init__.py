"""The checks of an operation: sagas in this process, each with mischief at a chosen moment."""
