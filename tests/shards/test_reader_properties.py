"""Every reader against a slow plain reading: the same ids, in pieces, in stretches, and the same documents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from token_files import WRITERS, flat

from diag.shards import open_shard, reader
from diag.shards.formats import columns, datatrove, dolma, megatron, parquet
from diag.shards.reader import STORED_DTYPES

CASES = [(name, dtype) for name, writer in WRITERS.items() for dtype in writer.dtypes]


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Iterator[None]:
    """So that a few ids make several pieces, and a few documents several chunks of an index."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (reader, columns, parquet):
            patch.setattr(module, "PIECE_IDS", 7)
        for module in (megatron, datatrove, dolma):
            patch.setattr(module, "_CHUNK", 2)
        patch.setattr(columns, "_JOIN_BELOW", 4)
        yield


def _documents(dtype: str, stated: bool) -> st.SearchStrategy[list[list[int]]]:
    """At least one id in all: an empty shard is refused. Where nothing states the byte order only ids that a
    vocabulary has: 2^40 is 1 in the other order."""
    limits = np.iinfo(STORED_DTYPES[dtype])
    low, high = (int(limits.min), int(limits.max)) if stated else (0, min(int(limits.max), 200_000))
    ids = st.one_of(st.integers(0, 9), st.integers(low, high))
    return st.lists(st.lists(ids, max_size=12), min_size=1, max_size=9).filter(flat)


@pytest.mark.parametrize(("name", "dtype"), CASES)
@settings(max_examples=8)
@given(data=st.data())
def test_a_reader_gives_what_was_written(tmp_path_factory, name, dtype, data):
    writer = WRITERS[name]
    documents = data.draw(_documents(dtype, not writer.asked))
    ids = flat(documents)
    path = writer.write(tmp_path_factory.mktemp("shard"), documents, dtype)
    shard = open_shard(path, dtype=dtype if writer.asked else None)
    assert (shard.dtype, shard.byte_order, shard.tokens) == (dtype, "little", len(ids))
    source = shard.shards[0].source

    stop = data.draw(st.integers(0, len(ids)))
    pieces = [read().copy() for read in source.pieces(stop)]
    assert [int(i) for piece in pieces for i in piece] == ids[:stop]
    assert all(1 <= len(piece) <= 7 and piece.dtype == shard.numpy_dtype for piece in pieces)

    start = data.draw(st.integers(0, stop))
    found = shard.ids(0, start, stop)
    assert (found.tolist(), found.dtype) == (ids[start:stop], shard.numpy_dtype)
    assert not found.flags.writeable

    lengths = source.document_lengths()
    assert bool(shard.boundaries) == writer.documents
    if writer.documents:
        assert [int(n) for part in lengths for n in part] == [len(document) for document in documents]
    else:
        assert lengths is None
