"""`shard --part` and `shard --merge`: a folder counted on many machines, for arrays of jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diag.cli.options import part_of
from diag.cli.shard import ShardOptions
from diag.errors import InputError
from diag.progress import Progress
from diag.settings import load_settings
from diag.shards import TokenText, open_shard
from diag.shards.audit.context import AuditContext
from diag.shards.counting.part_files import Asked, PartFiles, write_part


def count(request: ShardOptions, part: str | None, out: Path | None, progress: Progress) -> dict[str, Any]:
    """`shard DIR --part i/n --out FILE`: what was counted, and where it is."""
    started = time.perf_counter()
    if part is None or out is None:
        raise InputError("--part and --out belong together.", fix="Write --part 3/7 --out part-3.zip.")
    if request.first is not None:
        raise InputError("--first does not go with --part.", fix="Count the parts of the whole folder.")
    number, of = part_of(part)
    text = TokenText.open(request.tokenizer) if request.tokenizer else None
    size = request.vocab_size or (text.vocab_size_with_added if text else None)
    shard = open_shard(request.path, dtype=request.dtype, vocab_size=size)
    context = AuditContext.of(shard, vocab_size=request.vocab_size, text=text, unk_id=request.unk_id)
    asked = Asked(
        str(request.path.absolute()),
        request.dtype,
        request.vocab_size,
        str(request.tokenizer.absolute()) if request.tokenizer else None,
        request.unk_id,
    )
    cache = load_settings().cache_dir / "shards" if request.cache else None
    written = write_part(out, shard, context.plan, asked, (number, of), cache=cache, progress=progress)
    return {
        "path": str(shard.path),
        "part": written.part,
        "of": written.of,
        "files": len(written.keys),
        "tokens": written.tokens,
        "bad_files": [{"path": str(shard.shards[int(i)].path), "error": why} for i, why in written.bad.items()],
        "out": str(out),
        "seconds": time.perf_counter() - started,
    }


def opened(request: ShardOptions, paths: Sequence[Path]) -> tuple[ShardOptions, PartFiles]:
    """`shard --merge FILE…`: the options as the parts were counted with, and the parts."""
    counted = PartFiles(paths)
    asked = counted.first.asked
    given = {"dtype": request.dtype, "vocab-size": request.vocab_size, "tokenizer": request.tokenizer}
    given |= {"unk-id": request.unk_id, "first": request.first}
    if named := [f"--{name}" for name, value in given.items() if value is not None]:
        raise InputError(f"{named[0]} does not go with --merge.", fix="The parts know what they were counted with.")
    return replace(
        request,
        path=Path(asked.path),
        dtype=asked.dtype,
        vocab_size=asked.vocab_size,
        tokenizer=Path(asked.tokenizer) if asked.tokenizer else None,
        unk_id=asked.unk_id,
    ), counted
