"""H4A: the output head is not what the embedding, or its own training, made it."""

from __future__ import annotations

from diag.zoo.defects.base import (
    Defect,
    Generator,
    Plant,
    Values,
    constant,
    gaussian,
    noisy,
    rolled,
    zeros,
)
from diag.zoo.model import ABSENT, Change, Model


def _tied_head(values: Values) -> Plant:
    """A head of its own beside a config that ties it, made from the embedding."""

    def plant(rng: Generator, model: Model) -> Change | None:
        return Change({model.head: values(rng, model.tensors[model.embedding])}) if model.tied else None

    return plant


def _untied_head(values: Values) -> Plant:
    """Another head in a model whose head was trained by itself."""

    def plant(rng: Generator, model: Model) -> Change | None:
        return Change({model.head: values(rng, model.tensors[model.head])}) if model.head in model.tensors else None

    return plant


def _embedding(values: Values) -> Plant:
    def plant(rng: Generator, model: Model) -> Change | None:
        return Change({model.embedding: values(rng, model.tensors[model.embedding])})

    return plant


def _rows_anew(rng: Generator, model: Model) -> Change | None:
    """A share of the rows of a tied head is random: the vocabulary was grown, and more than the new rows were made."""
    if not model.tied:
        return None
    w = model.tensors[model.embedding].copy()
    count = int(len(w) * rng.uniform(0.3, 0.9))
    w[rng.choice(len(w), size=count, replace=False)] = gaussian()(rng, w[:count])
    return Change({model.head: w})


def _placeholder(rng: Generator, model: Model) -> Change | None:
    """An entry with the head's full shape and no bytes."""
    if not model.tied:
        return None
    return Change({model.head: model.tensors[model.embedding]}, placeholders=frozenset({model.head}))


def _embedding_behind_its_copy(rng: Generator, model: Model) -> Change | None:
    """The head is in the file as the true copy, and the embedding is random."""
    if not model.tied:
        return None
    true = model.tensors[model.embedding]
    return Change({model.head: true, model.embedding: gaussian()(rng, true)})


def _untied_by_the_flag(rng: Generator, model: Model) -> Change | None:
    """A tied model saved without its head, under a config that says untied."""
    return Change(config={"tie_word_embeddings": False}) if model.tied else None


def _head_left_out(rng: Generator, model: Model) -> Change | None:
    return None if model.head not in model.tensors else Change({model.head: None})


def _head_is_embedding(rng: Generator, model: Model) -> Change | None:
    return None if model.head not in model.tensors else Change({model.head: model.tensors[model.embedding]})


def _tied_by_the_flag(rng: Generator, model: Model) -> Change | None:
    """An untied model saved without its head, under a config that ties."""
    if model.head not in model.tensors:
        return None
    return Change({model.head: None}, {"tie_word_embeddings": True})


def _flag_forgotten(rng: Generator, model: Model) -> Change | None:
    """The flag is gone from the config of a tied model, and the head that the file holds was initialised at random."""
    if not model.tied or "tie_word_embeddings" not in model.config:
        return None
    random = gaussian(0.02)(rng, model.tensors[model.embedding])
    return Change({model.head: random}, {"tie_word_embeddings": ABSENT})


H4A = (
    Defect("tied_head_std_002", "H4A", "transformers #43429", _tied_head(gaussian(0.02)), True, ("H4H",)),
    Defect("tied_head_own_std", "H4A", "tinygrad #13796", _tied_head(gaussian()), True, ("H4H",)),
    Defect("tied_head_zero", "H4A", "vec2text #94", _tied_head(zeros), True),
    Defect("tied_head_constant", "H4A", "variant of vec2text #94", _tied_head(constant(0.01)), True),
    Defect("tied_head_rows_moved", "H4A", "variant of vLLM #53170", _tied_head(rolled), True),
    Defect("tied_head_diverged", "H4A", "vLLM #53170", _tied_head(noisy), True),
    Defect("tied_head_rows_anew", "H4A", "transformers #35141", _rows_anew, True, ("H4H",)),
    Defect("tied_head_placeholder", "H4A", "aprender #2309", _placeholder, True, ("H4H",)),
    Defect("tied_flag_off", "H4A", "transformers #30202", _untied_by_the_flag, True, ("H4I",)),
    Defect("tied_flag_forgotten", "H4A", "transformers #43429", _flag_forgotten, True, ("H4H", "H4I")),
    Defect("tied_embedding_lost", "H4A", "variant of vLLM #53170", _embedding_behind_its_copy, True, ("H4H",)),
    Defect("untied_head_missing", "H4A", "transformers #30202", _head_left_out, False, ("H4H",)),
    Defect("untied_head_is_embedding", "H4A", "olmo-eval #337", _head_is_embedding),
    Defect("untied_flag_on", "H4A", "pegainfer #544", _tied_by_the_flag, False, ("H4I",)),
    Defect("untied_head_random", "H4A", "tinygrad #13796", _untied_head(gaussian()), False, ("H4H",)),
    Defect("untied_head_std_002", "H4A", "transformers #43429", _untied_head(gaussian(0.02)), False, ("H4H",)),
    Defect("untied_head_zero", "H4A", "vec2text #94", _untied_head(zeros)),
    Defect("untied_head_rows_moved", "H4A", "variant of transformers #35141", _untied_head(rolled)),
    Defect("embedding_random", "H4A", "variant of transformers #35141", _embedding(gaussian()), False, ("H4H",)),
    Defect("embedding_zero", "H4A", "variant of vec2text #94", _embedding(zeros), False, ("H4H",)),
    Defect("embedding_rows_moved", "H4A", "variant of transformers #35141", _embedding(rolled)),
)
