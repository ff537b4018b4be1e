"""Every error that sledsaga raises on purpose, in one tree.

    SledsagaError
    ├── UsageError              you asked for something that cannot be
    │   ├── InvalidName         a name, id or path that breaks its grammar
    │   ├── InvalidParams       params that the operation does not take
    │   ├── InvalidPlan         a definition that is no DAG, or whose inputs do not fit
    │   ├── UnknownOperation    no operation of that name (and version) in the catalog
    │   └── TooLarge            a payload above its limit (refused at submit, never midway)
    ├── NotFound                no saga (step, lock) of that id
    ├── Conflict                what you saw is no longer so
    │   ├── KeyConflict         the key was used before with another body
    │   ├── Refused             the command does not fit the saga's state
    │   ├── LostClaim           another executor claimed the saga (fencing)
    │   └── ExecutorBusy        another process drives the sagas of this log
    ├── LogUnavailable          the log cannot be opened, read or written
    │   ├── LogCorrupt          an event cannot be read back, or is illegal where it stands
    │   └── SchemaMismatch      the log's schema is older or newer than this program
    ├── WaitTimedOut            the saga did not come to rest in the time given
    ├── Stopping                the executor is going down and takes nothing new
    └── HostError               the machine below
        ├── CommandFailed       a command ran and said no
        ├── CommandTimedOut     a command was ended because its time was over
        ├── CommandCancelled    a command was ended because its step was cancelled
        ├── HostUnreachable     it is not known whether the command ran
        ├── Mutates             a plan asked for a change (plans never change anything)
        ├── Unparsable          a command's output is not what its manual says
        └── ForeignObject       the object is not ours, or not empty: it is left alone

    StepOutcome                 what a step raises to say how it ended (not an error of ours)
    ├── FailedClean             it failed and left nothing, in this and every earlier attempt
    └── Transient               it failed and may be tried again

The message says what came, what was expected, and what to do next.
"""


class SledsagaError(Exception):
    """Something that sledsaga refuses, or that went wrong below it."""


class UsageError(SledsagaError):
    """What was asked for cannot be; nothing was changed."""


class InvalidName(UsageError):
    """The name breaks its grammar."""


class InvalidParams(UsageError):
    """The operation does not take these params."""


class InvalidPlan(UsageError):
    """The definition is no DAG, or an input does not fit."""


class UnknownOperation(UsageError):
    """The catalog has no such operation, or not in this version."""


class TooLarge(UsageError):
    """A payload is above its limit."""


class NotFound(SledsagaError):
    """There is nothing of that id."""


class Conflict(SledsagaError):
    """What you saw is no longer so; look again, then decide."""


class KeyConflict(Conflict):
    """The key was used before with another operation or other params."""


class Refused(Conflict):
    """The command does not fit the state of the saga."""


class LostClaim(Conflict):
    """Another executor claimed the saga; what this one knows of it is out of date."""


class ExecutorBusy(Conflict):
    """Another process drives the sagas of this log."""


class LogUnavailable(SledsagaError):
    """The log cannot be opened, read or written; nothing is run that is not recorded."""


class LogCorrupt(LogUnavailable):
    """An event cannot be read back, or is illegal where it stands."""


class SchemaMismatch(LogUnavailable):
    """The log's schema is older or newer than this program."""


class WaitTimedOut(SledsagaError):
    """The saga did not come to rest in the time given; it goes on."""


class Stopping(SledsagaError):
    """The executor is going down and takes nothing new; ask again when it is back."""


class HostError(SledsagaError):
    """The machine below said no, or did not answer."""


class CommandFailed(HostError):
    """A command ran and said no."""


class CommandTimedOut(HostError):
    """A command was ended, with all its children, because its time was over."""


class CommandCancelled(HostError):
    """A command was ended, with all its children, because its step was cancelled."""


class HostUnreachable(HostError):
    """It is not known whether the command ran: its reply was lost."""


class Mutates(HostError):
    """A plan asked for a change; plans never change anything."""


class Unparsable(HostError):
    """The output of a command is not what its manual says."""


class ForeignObject(HostError):
    """The object is not this saga's, or holds data: it is left alone."""


class StepOutcome(Exception):
    """What a step raises to say how it ended; any other exception means failed, state unknown."""


class FailedClean(StepOutcome):
    """The step failed and promises that nothing is left of this and every earlier attempt."""


class Transient(StepOutcome):
    """The step failed and may be tried again, as often as its policy allows."""
