"""The wall's own files for the browser: plain JavaScript and CSS, no package, put together into one module."""

from __future__ import annotations

from pathlib import Path

from diag.report.look import ZONE_FILL

HERE = Path(__file__).parent
WALL = ("rows.js", "dialogs.js", "wall.js")  # in the order in which they need each other


def script() -> str:
    """The module that Streamlit loads."""
    return _joined(*WALL, "component.js")


def first_script() -> str:
    """The same wall as a script in the page itself, with names of its own."""
    return f"(() => {{\n{_joined(*WALL, 'first.js')}\n}})();"


def _joined(*names: str) -> str:
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)


def style() -> str:
    """The style sheet, with the ruler's colours from the one table that has them."""
    zones = "\n".join(f".sw-zone.sw-{zone} {{ background: {fill}; }}" for zone, fill in ZONE_FILL.items())
    return f"{(HERE / 'wall.css').read_text(encoding='utf-8')}\n{zones}\n"
