"""Numbers in sentences, and values in few digits."""


def plural(count: int, noun: str) -> str:
    """A number of things, such as "1 trial" or "2,000 trials"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def brief(value: object) -> str:
    """A value as people read it: a real number to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
