"""Facts as a table for people: what, value, unit, how it came about. Pure, no Streamlit."""

from __future__ import annotations

import pandas as pd

from diag.report import numbers


def facts(*rows: tuple[str, object, str, str]) -> pd.DataFrame:
    """(what, value, unit, how it is computed) as a table; values become text, because they are of many kinds."""
    return pd.DataFrame(
        [(what, numbers.value(value), unit, how) for what, value, unit, how in rows],
        columns=["what", "value", "unit", "how"],
    )
