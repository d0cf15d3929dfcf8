"""Tables that the tests draw: columns of every kind, with what real ones lack."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

WORDS = ("red", "green", "blue", "a b", "Ä", "7")


def table(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """A column of each kind, with gaps, and targets of each kind that have to do with them."""
    rng = np.random.default_rng(seed)
    size, floor = rng.normal(50, 12, rows), rng.integers(0, 9, rows)
    colour = rng.choice(["red", "green", "blue"], rows, p=[0.6, 0.3, 0.1])
    built = pd.Timestamp("2001-03-04") + pd.to_timedelta(rng.integers(0, 9000, rows), "D")
    price = 3 * size + 20 * (colour == "red") - floor + rng.normal(0, 5, rows)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.random(rows) < 0.1, np.nan, size),
            "floor": floor,
            "colour": pd.Series(colour, dtype="str").mask(rng.random(rows) < 0.05),
            "built": pd.Series(built.strftime("%Y-%m-%d"), dtype="str"),
            "garden": rng.random(rows) < 0.5,
            "street": pd.Series(rng.choice(list("abcdefgh"), rows), dtype="str"),
            "price": price,
            "rent": price / 100 + rng.normal(0, 0.1, rows),
            "dear": pd.Series(np.where(price > np.median(price), "yes", "no"), dtype="str"),
            "sunny": (size + rng.normal(0, 5, rows) > 50).astype(int),
            "quiet": (floor + rng.normal(0, 2, rows) > 4).astype(int),
        }
    )
    return frame


FEATURES = ["size", "floor", "colour", "built", "garden", "street"]
KINDS = dict(
    zip(
        FEATURES,
        ["numeric", "numeric", "categorical", "date", "boolean", "categorical"],
        strict=True,
    )
)

_NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False) | st.none()
_COLUMNS = {
    "numeric": _NUMBERS.map(lambda x: np.nan if x is None else x),
    "boolean": st.sampled_from(["yes", "no", None]),
    "categorical": st.sampled_from([*WORDS, None]),
    "date": st.dates().map(str) | st.none(),
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table of any columns, and their kinds."""
    kinds = draw(st.lists(st.sampled_from(list(_COLUMNS)), min_size=1, max_size=6))
    rows = draw(st.integers(2, 30))
    columns, named = {}, {}
    for i, kind in enumerate(kinds):
        values = draw(st.lists(_COLUMNS[kind], min_size=rows, max_size=rows))
        dtype = "float64" if kind == "numeric" else "str"
        columns[f"c{i}"], named[f"c{i}"] = pd.Series(values, dtype=dtype), kind
    return pd.DataFrame(columns), named
