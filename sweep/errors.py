"""What can go wrong through no fault of the code, and the exit status it ends a command with.

SweepError
├── UsageError          2  a command was asked for something it cannot do
├── StudyFileError      2  the study file, or what it names, cannot be used
├── StudyChanged        2  the stored study of this name asks another question
├── StudyNotFound       3  no study of this name in the store
├── StoreError          4  the store cannot be read or written
├── StudyLocked         4  another process runs this study
├── BackendError        1  Ray cannot be started or reached
└── StudyFailed         1  the sweep itself failed
"""


class SweepError(Exception):
    """Something a user can mend: its text says what was wrong, what is allowed, what to do next."""

    exit_code = 1


class UsageError(SweepError):
    exit_code = 2


class StudyFileError(SweepError):
    exit_code = 2


class StudyChanged(SweepError):
    exit_code = 2


class StudyNotFound(SweepError):
    exit_code = 3


class StoreError(SweepError):
    exit_code = 4


class StudyLocked(StoreError):
    exit_code = 4


class BackendError(SweepError):
    exit_code = 1


class StudyFailed(SweepError):
    exit_code = 1


def first_line(error: Exception) -> str:
    """What an error of a library says, in one line; its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def gist(error: str) -> str:
    """The line of an error that says most, a traceback's last, fit for a terminal."""
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in error)
    lines = [line.strip() for line in plain.split("\n") if line.strip()]
    if not lines:
        return ""
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]
