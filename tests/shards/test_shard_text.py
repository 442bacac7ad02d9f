"""How many bytes of text each id stands for, and which tokens are no text, end one, or say "unknown"."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from diag.shards import TokenText
from diag.shards.figures import spelling
from diag.shards.reader import MAX_VOCAB

CORPUS = ["def f(x):\n    return x + 1\n", "Grüße, 世界! 🙂 naïve café", "the cat sat on the mat " * 5]
PIECES = [
    ("<unk>", 0.0),
    *((f"<0x{byte:02X}>", -9.0) for byte in range(256)),
    ("▁", -2.0),
    ("▁the", -3.0),
    *((character, -4.0) for character in "abcdefghijklmnopqrstuvwxyz世ü"),
]

# Without "<": "<|endoftext|>" in full is a control token, which stands for no text, and "<0x41>" the entry of a byte.
written = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<"), max_size=40)


def byte_level() -> Tokenizer:
    """As GPT-2, Llama 3 and Qwen: the byte-level step behind another one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet))
    return tokenizer


def byte_level_by_pre_tokenizer() -> Tokenizer:
    """The same without a decoder."""
    tokenizer = byte_level()
    tokenizer.decoder = None
    return tokenizer


def unigram() -> Tokenizer:
    """As T5 or XLM-R, with bytes for what has no entry."""
    tokenizer = Tokenizer(models.Unigram(PIECES, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    return tokenizer


def gemma() -> Tokenizer:
    """Spaces are replaced by the normaliser, and put back by a sequence of steps."""
    vocabulary = {entry: id for id, (entry, _) in enumerate(PIECES)}
    merges = [("t", "h"), ("th", "e"), ("▁", "the")]
    vocabulary |= {"th": len(vocabulary), "the": len(vocabulary) + 1}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


@pytest.fixture(scope="module", params=[byte_level, byte_level_by_pre_tokenizer, unigram, gemma])
def text(request, tmp_path_factory) -> TokenText:
    """With added tokens: one that is plain text, and four that are not."""
    tokenizer = request.param()
    tokenizer.add_tokens([AddedToken("<plain ü>", normalized=False)])
    tokenizer.add_special_tokens(["<s>", "<|im_end|>", "<|endoftext|>", "<|pad|>"])
    return saved(tokenizer, tmp_path_factory.mktemp("tokenizer"))


def saved(tokenizer: Tokenizer, folder: Path) -> TokenText:
    tokenizer.save(str(folder / "tokenizer.json"))
    return TokenText.open(folder)


@cache
def library(text: TokenText) -> Tokenizer:
    """The same file in the library itself."""
    return Tokenizer.from_file(str(text.path))


@settings(max_examples=60)
@given(written=written)
@example(written=" the  世界 <plain ü>🙂\n\tthe")
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(text, written):
    ids = library(text).encode(written, add_special_tokens=False).ids
    assert int(text.byte_lengths()[ids].sum()) == len(written.encode())


def test_control_tokens_stand_for_no_text_and_end_it_in_the_order_of_the_table(text):
    id_of = library(text).token_to_id
    control = [id_of(name) for name in ("<s>", "<|im_end|>", "<|endoftext|>", "<|pad|>")]
    lengths = text.byte_lengths()
    assert (len(lengths), lengths.flags.writeable) == (text.vocab_size_with_added, False)
    assert not lengths[control].any()
    assert lengths[id_of("<plain ü>")] == len("<plain ü>".encode())
    assert text.special_ids() == set(control)
    assert text.separators() == (id_of("<|endoftext|>"), id_of("<|im_end|>"))


def test_the_unknown_token_is_found_by_its_string_and_stands_for_no_text(text):
    assert text.unk_id == library(text).token_to_id("<unk>")
    assert text.unk_id is None or text.byte_lengths()[text.unk_id] == 0


def test_a_space_put_before_the_text_is_counted(tmp_path):
    tokenizer = unigram()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    text = saved(tokenizer, tmp_path)
    assert int(text.byte_lengths()[tokenizer.encode("the cat").ids].sum()) == len(" the cat")


def test_an_ordinary_entry_that_looks_like_a_separator_is_none(tmp_path):
    text = saved(Tokenizer(models.BPE(vocab={"a": 0, "</s>": 1, "[UNK]": 2}, merges=[])), tmp_path)
    assert (text.separators(), text.special_ids(), text.unk_id) == ((), frozenset(), 2)


def word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocab={"[UNK]": 0, "a": 1, "##b": 2}))
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def replaced_by_pattern() -> Tokenizer:
    from tokenizers import Regex

    tokenizer = unigram()
    tokenizer.decoder = decoders.Replace(Regex("▁+"), " ")
    return tokenizer


def bare() -> Tokenizer:
    return Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))


@pytest.mark.parametrize("make", [word_piece, replaced_by_pattern, bare])
def test_a_tokenizer_whose_entries_do_not_tell_has_no_lengths(make: Callable[[], Tokenizer], tmp_path):
    assert saved(make(), tmp_path).byte_lengths() is None


def test_a_huge_id_sizes_no_table():
    assert spelling.byte_lengths(byte_level(), MAX_VOCAB + 1, frozenset()) is None
