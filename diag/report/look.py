"""How severities look, wherever people read them: each status word has a mark and a tone, so colour never stands alone.

Broken is red. What was found to explain it, or may matter, is amber. `healthy` alone is green: it is the only word that
says a checkpoint is sound. Nothing found, and not known, are neutral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["broken", "explained", "healthy", "neutral"]
PageColour = Literal["red", "orange", "green", "gray"]


@dataclass(frozen=True)
class Ink:
    """A tone on a page (a colour of Streamlit's badges), on a terminal (a style of rich), and in a chart (#RRGGBB)."""

    page: PageColour
    terminal: str
    chart: str


# The chart colours are mid tones: each has a contrast of at least 3 against the grounds of both themes.
INKS: dict[Tone, Ink] = {
    "broken": Ink("red", "bold red", "#EF4444"),
    "explained": Ink("orange", "yellow", "#D97706"),
    "healthy": Ink("green", "bold green", "#16A34A"),
    "neutral": Ink("gray", "dim", "#808A98"),
}


# The zones of a ruler, told apart by lightness alone (CIE L* 92, 79, 57, 41, 28; "too good" 67 and blue), and so under
# every kind of colour blindness; the same in both themes. tests/report/test_look.py measures them.
ZONE_FILL: dict[str, str] = {
    "too_good": "#6FA8DC",
    "plausible": "#E2E8F0",
    "no_better_than_bigram": "#E6BE5A",
    "no_better_than_unigram": "#C17A2B",
    "about_chance": "#A5402F",
    "worse_than_chance": "#7F1D2D",
}


@dataclass(frozen=True)
class Look:
    """The mark that stands before a status word, and the tone of both."""

    mark: str
    tone: Tone

    @property
    def ink(self) -> Ink:
        """The colours of the tone."""
        return INKS[self.tone]


_BROKEN, _EXPLAINED, _MATTERS = Look("✕", "broken"), Look("◆", "explained"), Look("!", "explained")
_NOTHING_FOUND, _UNKNOWN = Look("✓", "neutral"), Look("?", "neutral")

LOOKS: dict[str, Look] = {
    # the verdict on a hypothesis
    "confirmed": Look("●", "broken"),
    "contributing": Look("◐", "explained"),
    "present": Look("○", "explained"),
    "refuted": _NOTHING_FOUND,
    "inconclusive": _UNKNOWN,
    "not_applicable": Look("–", "neutral"),
    "error": _BROKEN,  # and of a finding in a file
    # the conclusion of a test
    "data": _BROKEN,
    "unexplained": _BROKEN,
    "partly_explained": Look("◐", "explained"),
    "explained": _EXPLAINED,
    "runtime": _EXPLAINED,
    "unit": _EXPLAINED,
    "suspect": _MATTERS,  # and of a shard
    "no_defect_found": _NOTHING_FOUND,
    "healthy": Look("✓", "healthy"),
    # where a loss lies
    "not_finite": _BROKEN,
    "worse_than_chance": _BROKEN,
    "about_chance": _BROKEN,
    "no_better_than_bigram": _MATTERS,
    "no_better_than_unigram": _MATTERS,
    "too_good": _MATTERS,
    "plausible": _NOTHING_FOUND,
    # a gate
    "PASS": _NOTHING_FOUND,
    "FAIL": _BROKEN,
    "VOID": Look("∅", "explained"),
    "UNKNOWN": _UNKNOWN,
    # a shard, and a file that cannot be used
    "ok": _NOTHING_FOUND,
    "degenerate": _BROKEN,
    "invalid": _BROKEN,
    "unusable": _BROKEN,
    # the head and the embedding
    "tied_absent": _NOTHING_FOUND,
    "tied_copy": _NOTHING_FOUND,
    "tied_rounded": _NOTHING_FOUND,
    "untied": _NOTHING_FOUND,
    "untied_copy": _MATTERS,
    "tied_diverged": _BROKEN,
    "placeholder": _BROKEN,
    "reinterpreted_copy": _BROKEN,
    "missing": _BROKEN,
    # a tensor against the reference's
    "equal": _NOTHING_FOUND,
    "close": _NOTHING_FOUND,
    "different": _BROKEN,
    "zero": _BROKEN,
    "constant": _BROKEN,
    "partly": _BROKEN,
    "coarse": _BROKEN,
    "copied": _BROKEN,
    "gathered": _BROKEN,
    "trained": _MATTERS,
    "misshapen": _BROKEN,
    "reinterpreted": _BROKEN,
    "transposed": _BROKEN,
    "permuted": _BROKEN,
    "scaled": _MATTERS,
    "shifted": _MATTERS,
    "only_here": _MATTERS,
    "only_there": _MATTERS,
    "unreadable": _UNKNOWN,
    # a finding in a file
    "warning": _MATTERS,
    "info": Look("i", "neutral"),
    # a case on the wall
    "measured": Look("·", "neutral"),
    "not_run": Look("·", "neutral"),
}


def look(word: str | None) -> Look:
    """The look of a status word; that of what is not known for a word of another version."""
    return LOOKS.get(word or "", _UNKNOWN)


_SAID = {"data": "bad data", "unit": "unit error", "runtime": "fault in the runtime"}


def said(word: str) -> str:
    """A status word as people say it."""
    return _SAID.get(word, word.replace("_", " "))


_TIE = {
    "tied_absent": "the embedding is the head",
    "tied_copy": "tied, stored twice",
    "tied_rounded": "tied, stored again in another type",
    "tied_diverged": "tied, but they differ",
    "untied": "a head of its own",
    "untied_copy": "untied, but the same",
}


def tie_said(status: str) -> str:
    """How head and embedding go together, for a line that has no room for the sentence."""
    return _TIE.get(status, said(status))


def marked(word: str | None) -> str:
    """A status word behind its mark, for a cell that has no colour; – for none."""
    return f"{look(word).mark} {said(word)}" if word else "–"
