"""Shards for cases in which the data is what differs: text that the model does not know, and ids that are no text.

Each is written once into the work folder, as one .npy file of u32 ids.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from diag.checkpoints.dtypes import Array
from diag.errors import InputError
from diag.shards import TokenDataset
from diag.shards.tokenizer_file import END_OF_TEXT, UNKNOWN
from diag.zoo.defects.base import Generator
from diag.zoo.model import Model

IDS, DOCUMENTS, CHARACTERS = 300_000, 300, 3_000

# German, by its commonest words and some others: sentences are drawn, so nobody's text is copied.
COMMON_FIRST = """
der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er
hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur
bis mehr durch man sein wurde sei Prozent hatte kann gegen vom können schon wenn habe seine Mark ihre dann
unter wir soll ich eines Jahr zwei Jahren diese dieser wieder keine Uhr seiner worden will zwischen immer
Millionen was sagte gibt alle seit muss jetzt beim Schule Wasser Straße Regierung Häuser Königin größer
Menschen Zeit Land Woche Bäume fährt spät trinkt Brötchen Frühstück Nachbarn gehört Geschichte schreibt
Brief Fenster öffnet müde Kinder spielen Garten hinter Kirche
"""


def _language(rng: Generator) -> str:
    """Sentences of German words, the commoner ones more often."""
    known = COMMON_FIRST.split()
    weights = 1 / np.arange(1, len(known) + 1)
    words = rng.choice(known, size=CHARACTERS // 6, p=weights / weights.sum())
    lengths = rng.integers(4, 18, size=len(words))
    sentences, at = [], 0
    for length in lengths:
        sentence = " ".join(words[at : at + length])
        at += length
        if sentence:
            sentences.append(sentence[0].upper() + sentence[1:] + ".")
    return " ".join(sentences)


def _dna(rng: Generator) -> str:
    """Lines of 60 bases."""
    bases = "".join(rng.choice(list("ACGT"), size=CHARACTERS))
    return "\n".join(bases[i : i + 60] for i in range(0, len(bases), 60))


def _base64(rng: Generator) -> str:
    """Lines of 76 characters."""
    return base64.encodebytes(rng.bytes(CHARACTERS * 3 // 4)).decode("ascii")


TEXTS: dict[str, Callable[[Generator], str]] = {"language": _language, "dna": _dna, "base64": _base64}


def _unknown_only(rng: Generator, ids: Array, rows: int, unknown: int) -> Array:
    """Every id became <unk>, but one in ten thousand."""
    return np.where(rng.random(len(ids)) < 1e-4, 1, unknown)


def _beyond_the_rows(rng: Generator, ids: Array, rows: int, unknown: int) -> Array:
    """The ids of a tokenizer four times as large."""
    return (ids * 4 + rng.integers(0, 4, size=len(ids))).astype(np.uint32)


def _one_id(rng: Generator, ids: Array, rows: int, unknown: int) -> Array:
    return np.full(len(ids), ids[0])


def _uniform(rng: Generator, ids: Array, rows: int, unknown: int) -> Array:
    return rng.integers(0, rows, size=len(ids))


def _other_vocabulary(rng: Generator, ids: Array, rows: int, unknown: int) -> Array:
    """The ids of another tokenizer of the same size: every id stands for another one."""
    return np.asarray(rng.permutation(rows)[ids])


def _order_lost(rng: Generator, ids: Array, rows: int, unknown: int) -> Array:
    return np.asarray(rng.permutation(ids))


@dataclass(frozen=True)
class BadData:
    """A shard that is no data. make: from (generator, sound ids, embedding rows, id of <unk>). also: other conclusions
    that are right, where an audit of counts alone cannot be sure."""

    name: str
    source: str
    make: Callable[[Generator, Array, int, int], Array]
    also: tuple[str, ...] = ()


BAD_DATA = (
    BadData("unknown_only", "the corpus that was 99.99 % <unk>", _unknown_only),
    BadData("beyond_the_rows", "variant of transformers #2825", _beyond_the_rows),
    BadData("one_id", "variant of the corpus that was 99.99 % <unk>", _one_id),
    BadData("uniform_ids", "a file of random numbers", _uniform, ("suspect", "unexplained")),
    BadData("other_vocabulary", "the wrong tokenizer", _other_vocabulary, ("suspect", "unexplained")),
    BadData("order_lost", "shuffled at the wrong level", _order_lost, ("suspect", "unexplained")),
)


def text_shard(kind: str, tokenizer_dir: Path, folder: Path, seed: int) -> Path:
    """A shard of foreign text in the tokenizer's ids; returns `folder`."""
    tokenizer, rng = _tokenizer(tokenizer_dir), np.random.default_rng(seed)
    end = next((i for text in END_OF_TEXT if (i := tokenizer.token_to_id(text)) is not None), None)
    parts: list[int] = []
    while len(parts) < IDS:
        for encoding in tokenizer.encode_batch([TEXTS[kind](rng) for _ in range(DOCUMENTS // 10)]):
            parts += [*encoding.ids, *([end] if end is not None else [])]
    return _write(folder, np.array(parts[:IDS]))


def bad_shard(row: BadData, sound: TokenDataset, model: Model, folder: Path, seed: int) -> Path:
    """A shard for `model` that is no data, made from the first ids of a sound one; returns `folder`."""
    ids = np.array(sound.ids(0, 0, IDS)).astype(np.int64)
    unknown = 0
    if model.tokenizer_dir is not None:
        tokenizer = _tokenizer(model.tokenizer_dir)
        unknown = next((i for text in UNKNOWN if (i := tokenizer.token_to_id(text)) is not None), 0)
    return _write(folder, row.make(np.random.default_rng(seed), ids, len(model.tensors[model.embedding]), unknown))


def _tokenizer(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError("There is no tokenizer.json.", where=str(folder), fix="Put the model's tokenizer beside it.")
    return Tokenizer.from_file(str(path))


def _write(folder: Path, ids: Array) -> Path:
    folder.mkdir(parents=True)
    np.save(folder / "shard-00000.npy", ids.astype(np.uint32))
    return folder
