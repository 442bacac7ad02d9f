"""The table of what a child may be asked to do: a name, and the function that does it.

A function takes the parameters of the call and yields answers. Its module is imported in the child alone, when it is
first asked for. A parser of another format joins by a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from diag.isolated.wire import Answer

CALLS = {
    "tokenizer.ready": "diag.shards.tokenizer_file:ready",
    "tokenizer.open": "diag.shards.tokenizer_file:opened",
    "tokenizer.texts": "diag.shards.tokenizer_file:texts",
    "tokenizer.encode": "diag.shards.tokenizer_file:encode",
    "tokenizer.decode": "diag.shards.tokenizer_file:decode",
    "tokenizer.round_trip": "diag.shards.tokenizer_file:round_trip",
    "parquet.counted": "diag.shards.formats.parquet:counted",
    "parquet.chunks": "diag.shards.formats.parquet:chunks",
    "arrow.counted": "diag.shards.formats.arrow:counted",
    "arrow.chunks": "diag.shards.formats.arrow:chunks",
    "packed.counted": "diag.shards.formats.packed:counted",
    "packed.chunks": "diag.shards.formats.packed:chunks",
    "framed.counted": "diag.shards.formats.framed:counted",
    "framed.chunks": "diag.shards.formats.framed:chunks",
}
# What else is imported before memory is limited: libraries that a call loads when it first needs them.
NEEDS = {
    "parquet": ("pyarrow.parquet", "pyarrow.compute"),
    "arrow": ("pyarrow.ipc", "pyarrow.compute"),
    "packed": ("pyarrow",),
    "framed": ("pyarrow",),
}
Call = Callable[..., Iterator[Answer]]


def find(name: str) -> Call:
    """The function of a row. Errors: KeyError for a name that the table does not have."""
    module, _, function = CALLS[name].partition(":")
    for needed in NEEDS.get(name.partition(".")[0], ()):
        import_module(needed)
    found: Call = getattr(import_module(module), function)
    return found
