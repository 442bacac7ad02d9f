"""Collect the training text, train the tokenizer, and write the token files that travel to the GPU machine.

    python data/train/prepare.py --out .train

Writes train.bin, val.bin and stdlib.bin (headerless little-endian u16), prepare.json (counts of what was kept and
removed), and the tokenizer into data/demo-model/, unless `--tokenizer` names one that is there already. About 4 minutes
on two cores, 3 GB of memory, no network.
"""

import argparse
import json
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from collect import Candidate, Removed, collect, overlapping  # noqa: E402
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402

from diag.demo.corpus import (  # noqa: E402
    SEPARATOR,
    UNK,
    encode,
    load_tokenizer,
    order_key,
    read_source,
    special_id,
    stdlib_files,
    stdlib_root,
)

VOCAB = 4096
VAL_EVERY = 100  # one file in this many is held out from training
STDLIB_TOKENS = 16 * 4 * 513  # the tool's default window: 16 batches of 4 sequences of 512 + 1 ids
MODEL_DIR = ROOT / "data" / "demo-model"

# Qwen2's splitting rule: words with the character before them, single digits, punctuation with its newlines, and
# runs of spaces apart from the last one, which keeps an indentation in one token.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(texts: list[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE without a normaliser, so that decoding returns the text exactly; ids 0 and 1 are the specials."""
    tokenizer = Tokenizer(models.BPE())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[UNK, SEPARATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """tokenizer.json and tokenizer_config.json. Like Qwen's, it names no unk_token: `<unk>` is found by its string."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 1024,
        "eos_token": SEPARATOR,
        "pad_token": SEPARATOR,
        "clean_up_tokenization_spaces": False,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def stream(documents: list[np.ndarray], separator: int) -> np.ndarray:
    """u16: the documents, each followed by the separator."""
    mark = np.array([separator], dtype="<u2")
    return np.concatenate([part for d in documents for part in (d.astype("<u2"), mark)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path(sysconfig.get_path("purelib")))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, help="use the tokenizer of this folder, and train none")
    parser.add_argument("--cap-mb", type=float, default=10.0, help="most text from one package, in MB")
    parser.add_argument("--max-tokens", type=int, default=25_000_000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {message}", flush=True)

    removed = Removed()
    root = stdlib_root()
    library = [text for name in stdlib_files(root) if (text := read_source(root / name))]
    candidates = collect(args.packages, root, int(args.cap_mb * 1e6), removed)
    say(f"{len(candidates)} files, {sum(len(c.text) for c in candidates) / 1e6:.1f} M characters; {removed.counts}")

    if args.tokenizer is None:
        # The overlap test needs tokens and the tokenizer may only see what passes: a draft tokenizer goes first, and
        # the final one repeats the test.
        draft = train_tokenizer([c.text for c in candidates[::6]], VOCAB)
        say("draft tokenizer")
        hit = overlapping(encode(draft, [c.text for c in candidates]), encode(draft, library))
        removed.add("50-token run in common with the standard library", int(hit.sum()))
        candidates = [c for c, bad in zip(candidates, hit, strict=True) if not bad]
        say(f"{len(candidates)} files left, {int(hit.sum())} overlapped")
        save_tokenizer(train_tokenizer([c.text for c in candidates], VOCAB), MODEL_DIR)
    tokenizer = load_tokenizer(args.tokenizer or MODEL_DIR)
    say("final tokenizer")
    documents = encode(tokenizer, [c.text for c in candidates])
    held_out = encode(tokenizer, library)
    hit = overlapping(documents, held_out)
    removed.add("50-token run in common, found with the final tokenizer", int(hit.sum()))
    pairs = [(c, d) for c, d, bad in zip(candidates, documents, hit, strict=True) if not bad]
    sizes = np.cumsum([len(d) + 1 for _, d in pairs])
    fits = int(np.searchsorted(sizes, args.max_tokens, side="right"))
    removed.add("over the token budget", len(pairs) - fits)
    pairs = pairs[:fits]
    write(args.out, pairs, held_out, special_id(tokenizer, SEPARATOR), removed)
    say("written")


def write(
    out: Path, pairs: list[tuple[Candidate, np.ndarray]], held_out: list[np.ndarray], separator: int, removed: Removed
) -> None:
    """Token files and the account of them."""
    val = [d for c, d in pairs if int(order_key("val/" + c.name)[:8], 16) % VAL_EVERY == 0]
    train = [d for c, d in pairs if int(order_key("val/" + c.name)[:8], 16) % VAL_EVERY]
    files = {"train": stream(train, separator), "val": stream(val, separator), "stdlib": stream(held_out, separator)}
    files["stdlib"] = files["stdlib"][:STDLIB_TOKENS]
    for name, tokens in files.items():
        tokens.tofile(out / f"{name}.bin")
    shares: dict[str, int] = {}
    for candidate, document in pairs:
        package = candidate.name.split("/")[0]
        shares[package] = shares.get(package, 0) + len(document)
    account = {
        "vocab_size": VOCAB,
        "separator": separator,
        "files": {"train": len(train), "val": len(val), "stdlib": len(held_out)},
        "tokens": {name: len(tokens) for name, tokens in files.items()},
        "characters": sum(len(c.text) for c, _ in pairs),
        "stdlib_tokens_all": sum(map(len, held_out)),
        "removed": removed.counts,
        "tokens_by_package": dict(sorted(shares.items(), key=lambda item: -item[1])[:30]),
    }
    (out / "prepare.json").write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(account, indent=2))


if __name__ == "__main__":
    main()
