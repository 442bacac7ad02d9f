"""The kinds of columns that tables are made of, so that a quantity looks the same in all.

Values stay raw for downloads. The columns of a page's tables stand in its own folder.
"""

from __future__ import annotations

from typing import Any

from streamlit import column_config as c

Columns = dict[str, Any]


def text(label: str, help: str | None = None, width: Any = None, **more: Any) -> Any:
    """Words."""
    return c.TextColumn(label, help=help, width=width, **more)


def nats(label: str, help: str | None = None, signed: bool = False) -> Any:
    """A loss or a difference of losses: three decimals. The column's label says the unit."""
    return c.NumberColumn(label, help=help, format="%+.3f" if signed else "%.3f")


def figure(label: str, help: str | None = None) -> Any:
    """A statistic of any size: four significant digits."""
    return c.NumberColumn(label, help=help, format="%.4g")


def percent(label: str, help: str | None = None, digits: int = 1, signed: bool = False) -> Any:
    """A share, given in percent."""
    return c.NumberColumn(label, help=help, format=f"%{'+' if signed else ''}.{digits}f %%")


def count(label: str, help: str | None = None) -> Any:
    """A whole number with separators between thousands."""
    return c.NumberColumn(label, help=help, format="localized")


def name(label: str, help: str | None = None, width: Any = None) -> Any:
    """A number that names something, as an id or a line does."""
    return c.NumberColumn(label, help=help, format="%d", width=width)


def link(label: str, help: str, width: Any = None) -> Any:
    """The way to a page of ours."""
    return c.LinkColumn(label, display_text="open", help=help, width=width)


# What, value, unit, how: several pages show facts in this shape.
NUMBERS: Columns = {
    "what": text("What", width=165),
    "value": text("Value", alignment="right", width=150),
    "unit": text("Unit", width=140),
    "how": text("How", width="large"),
}
FACTS: Columns = NUMBERS | {"value": text("Value", width=250)}
