"""A watched log whose loss is about chance or above it is raised, a run that only begins there is not."""

from __future__ import annotations

import math
from pathlib import Path

from diag.evidence.index import sync_and_query
from diag.evidence.raised import raised


def log(*losses: float, vocab: str = "vocab_size: 50257\n") -> str:
    return vocab + "".join(f"step {100 * n}: val loss {loss}\n" for n, loss in enumerate(losses))


def test_the_first_loss_about_chance_is_raised_with_its_line(tmp_path: Path) -> None:
    runs = {
        "scratch": log(10.9, 10.8, 7.0, 5.1),  # begins at chance, and learns
        "diverged": log(10.9, 6.0, 5.1, 10.7, 11.2),
        "stuck": log(10.82, 10.81, 10.83),
        "broken": '{"epoch": 0,\n "val_loss": 11.55}\n',
        "huge": log(15.2, 16.1, vocab=""),
        "unknown": log(11.0, 11.3, vocab=""),  # above the chance of GPT-2's vocabulary, but nobody states which it is
        "training": "vocab_size: 50257\n" + "".join(f"step {n}: train loss 10.9, val loss 3.1\n" for n in (10, 20)),
    }
    for name, text in runs.items():
        folder = tmp_path / "team" / name
        folder.mkdir(parents=True)
        (folder / ("epoch-000.metadata.json" if text.startswith("{") else "train.log")).write_text(text)
    (tmp_path / "team" / "broken" / "config.json").write_text('{"vocab_size": 50257}\n')
    found, _ = sync_and_query([tmp_path / "team"], tmp_path / "i.duckdb", raised)
    assert [(one.run, one.fact.line, one.fact.raw) for one in found] == [
        ("broken", 2, "11.55"),
        ("diverged", 5, "10.7"),
        ("huge", 2, "16.1"),
        ("stuck", 3, "10.81"),
    ]
    assert [one.chance_nats for one in found if one.run != "huge"] == [math.log(50257)] * 3

    (tmp_path / "team" / "scratch" / "train.log").write_text(log(10.9, 10.8, 7.0, 5.1, 10.9))  # it goes on
    found, _ = sync_and_query([tmp_path / "team"], tmp_path / "i.duckdb", raised)
    assert ("scratch", 6) in [(one.run, one.fact.line) for one in found]
