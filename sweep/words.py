"""Numbers in sentences."""


def plural(count: int, noun: str) -> str:
    """A number of things, such as "1 trial" or "2,000 trials"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
