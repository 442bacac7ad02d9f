"""The wall's own files for the browser: plain JavaScript and CSS, no package, put together into one module."""

from __future__ import annotations

from pathlib import Path

from diag.report.look import ZONE_FILL

HERE = Path(__file__).parent
SCRIPTS = ("rows.js", "dialogs.js", "wall.js")


def script() -> str:
    """The module, in the order in which its parts need each other."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)


def style() -> str:
    """The style sheet, with the ruler's colours from the one table that has them."""
    zones = "\n".join(f".sw-zone.sw-{zone} {{ background: {fill}; }}" for zone, fill in ZONE_FILL.items())
    return f"{(HERE / 'wall.css').read_text(encoding='utf-8')}\n{zones}\n"
