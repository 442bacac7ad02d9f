"""The picture that a link unfurls with: verdict, case and ruler, drawn without a browser, kept beside the record."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from diag.evidence.records import record_path
from diag.report.brief import brief
from diag.report.look import ZONE_FILL, Tone, look
from diag.results.record import Record
from diag.share.ruler import Flag, RulerLayout, layout

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

SIZE = (1200, 630)  # what Open Graph's readers crop to
LEFT, RIGHT = 60, 1140
BAND_TOP, BAND_HEIGHT, LANE = 430, 60, 62
GROUND, TEXT, SOFT, DARK = "#FFFFFF", "#1B2430", "#4B5666", "#0F172A"
INK: dict[Tone, str] = {"broken": "#B91C1C", "explained": "#92400E", "healthy": "#166534", "neutral": "#334155"}
VERSION = 1  # of the drawing: a picture of another is drawn again


def picture(evidence_dir: Path, record: Record) -> bytes:
    """The PNG of a record, about 30 kB: from the file beside the record, or drawn (20 ms) and kept there if that may be
    written. A record never changes, so neither does its picture."""
    path = record_path(evidence_dir, record.id).with_suffix(f".v{VERSION}.png")
    with contextlib.suppress(OSError):
        return path.read_bytes()
    data = draw(record)
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    return data


def draw(record: Record) -> bytes:
    """The picture as PNG."""
    from PIL import Image, ImageDraw

    found, case, loss = brief(record), record.to_case(), record.loss
    image = Image.new("RGB", SIZE, GROUND)
    canvas = ImageDraw.Draw(image)
    tone = look(found.word).tone
    _text(canvas, (LEFT, 48), _fitting(found.verdict, 52, RIGHT - LEFT), 52, INK[tone])
    _text(canvas, (LEFT, 122), _fitting(found.name, 34, RIGHT - LEFT), 34, TEXT)
    repaired = next((mark.nats for mark in found.losses if mark.what == "repaired"), None)
    gate = loss.gate.below if loss.gate else None
    _ruler(canvas, layout(loss.ruler, loss.nats, repaired, claim=case.claim, gate_below=gate))
    canvas.rectangle((0, 0, 14, SIZE[1]), fill=INK[tone])
    _text(canvas, (LEFT, 575), f"Subrandom · record {record.id} · nats a token, n = {loss.tokens:,}", 24, SOFT)
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def _ruler(canvas: ImageDraw, of: RulerLayout) -> None:
    width = RIGHT - LEFT
    bottom = BAND_TOP + BAND_HEIGHT
    for where, a, b in of.bands:
        canvas.rectangle((LEFT + a * width, BAND_TOP, LEFT + b * width, bottom), fill=ZONE_FILL[where])
    for flag in of.flags:
        x = LEFT + flag.at * width
        top = max(180, BAND_TOP - (flag.placed.lane + 1) * min(LANE, (BAND_TOP - 180) // of.lanes))
        canvas.line((x, top, x, bottom), fill=TEXT, width=2)
        size = 24 if flag.kind in ("loss", "repaired") else 20
        anchor = "la" if flag.placed.right else "ra"
        for line, text in enumerate((flag.words + (" →" if flag.beyond else ""), flag.number)):
            at = (x + (7 if flag.placed.right else -7), top + line * (size + 3))
            _text(canvas, at, text, size, TEXT, anchor=anchor)
        _mark(canvas, flag, x, (BAND_TOP + bottom) / 2)
    for tick in of.ticks:
        _text(canvas, (LEFT + tick / of.right * width, bottom + 8), f"{tick:g}", 20, SOFT, anchor="ma")


def _mark(canvas: ImageDraw, flag: Flag, x: float, y: float) -> None:
    if flag.kind == "loss":
        canvas.polygon([(x, y - 19), (x + 19, y), (x, y + 19), (x - 19, y)], fill=GROUND)
        canvas.polygon([(x, y - 15), (x + 15, y), (x, y + 15), (x - 15, y)], fill=DARK)
    elif flag.kind == "repaired":
        canvas.ellipse((x - 16, y - 16, x + 16, y + 16), fill=DARK)
        canvas.ellipse((x - 10, y - 10, x + 10, y + 10), fill=GROUND)
    else:
        canvas.rectangle((x - 8, y - 8, x + 8, y + 8), fill=GROUND)
        canvas.rectangle((x - 6, y - 6, x + 6, y + 6), fill=DARK)


def _text(canvas: ImageDraw, at: tuple[float, float], text: str, size: int, ink: str, *, anchor: str = "la") -> None:
    canvas.text(at, text, font=_font(size), fill=ink, anchor=anchor)


def _fitting(text: str, size: int, width: int) -> str:
    """As much of a text as one line holds."""
    font = _font(size)
    while len(text) > 4 and font.getlength(text) > width:
        text = text[: max(4, int(len(text) * width / font.getlength(text)) - 1)].rstrip() + "…"
    return text


@cache
def _font(size: int) -> FreeTypeFont:
    """Pillow's own, which needs no font on the machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size)  # type: ignore[return-value]
