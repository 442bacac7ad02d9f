"""A fact, before and after its value is understood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

UnitSource = Literal["stated", "derived", "convention", "not stated"]


class Fact(NamedTuple):
    """What one line of a document says about one thing.

    name: what is meant, as written (`val_loss`). about: which of several (`epoch 3`, a column, a gate); empty where
    there is one. raw: the value as written. number: None for ranges, products and states. unit_source: `stated` beside
    the value or in its name, `derived` from what the name is (a perplexity, bits), a `convention` of trainers (a loss
    is in nats). status: the state in one word, status_raw as written. run: which run's numbers these are; those of two
    runs never contradict each other. step, epoch: where in the run. identifiers: those that the fact is about, with
    their longer forms.
    """

    line: int
    section: str
    name: str
    about: str
    raw: str
    number: float | None
    unit: str | None
    unit_source: UnitSource
    status_raw: str | None
    status: str | None
    run: str
    identifiers: tuple[str, ...] = ()
    epoch: float | None = None
    step: float | None = None

    @property
    def key(self) -> str:
        """Name and what it is about, as tables show it."""
        return f"{self.name} ({self.about})" if self.about else self.name


Form: TypeAlias = Literal["", "sentence", "label", "cell", "entry", "row", "count"]


class Draft(NamedTuple):
    """What a reader saw, as text: the value is understood later, by one code for all kinds of documents.

    status_raw: the state that the same line gives. at: where in the run, by `epoch` or `step`. unit: one that a header
    states; empty where the name's own would be wrong. near: text whose identifiers belong to the fact.
    form: whether it stands in a sentence, behind a label of its own, in a table, in one of names and values,
    or in a line that is a row of fields.
    """

    line: int
    section: str
    name: str
    raw: str
    about: str = ""
    status_raw: str | None = None
    unit: str | None = None
    near: str = ""
    at: tuple[tuple[str, float], ...] = ()
    command: str = ""
    form: Form = ""


@dataclass
class Notes:
    """What a reader leaves out, in sentences, and what it learns of the run on its way."""

    left_out: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)  # dataset, checkpoint, command, run dir, date


Reader: TypeAlias = Callable[[Sequence[str], Notes], Iterator[Draft]]
