"""The exit status of the commands."""

COMPLETE, FAILED, USAGE, NOT_FOUND, STORE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

MEANING = {
    COMPLETE: "complete",
    FAILED: "failed",
    USAGE: "usage or invalid file",
    NOT_FOUND: "not found",
    STORE: "store unavailable or study locked",
    INCOMPLETE: "incomplete: stopped, or out of its budget",
    INTERRUPTED: "interrupted",
}


def status_of(state: str, budget: str | None = None) -> int:
    """The status that a study's state amounts to; `budget` is the one that ended it, if one did."""
    if state == "failed":
        return FAILED
    return COMPLETE if state == "complete" and budget is None else INCOMPLETE
