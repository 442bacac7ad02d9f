"""The table of rules: what each looks for, and its function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diag.evidence.conflicts import chance, checks, counts, history, never_run, outcomes, rows, said, trends, units
from diag.evidence.conflicts.conflict import Conflict, Known
from diag.evidence.index import Connection, asked


@dataclass(frozen=True)
class Rule:
    """A row: the kinds of conflict that it finds, in words, and where."""

    kinds: tuple[str, ...]
    looks_for: str
    find: Callable[[Known], Iterator[Conflict]]


RULES = (
    Rule(
        ("log_base", "unit_comparison"),
        "an ln of the vocabulary that is log2, and what it is compared with",
        chance.log_base,
    ),
    Rule(("nats_called_points",), "a difference of losses called percentage points or per cent", units.points),
    Rule(("unit_comparison",), "losses in nats and bits compared as they stand", units.across),
    Rule(("target_missed",), "CONVERGED or PASS beside a number that misses the target", outcomes.target_missed),
    Rule(("target_missed",), "a line or a row that passed with its own number beyond its own limit", checks.missed),
    Rule(("skipped_pass",), "a check that passed and was skipped", outcomes.skipped_pass),
    Rule(("skipped_pass",), "a line that says both", checks.skipped),
    Rule(
        ("target_missed", "skipped_pass", "void_gate"),
        "a row of a table or an entry of a tree that says both",
        rows.told_together,
    ),
    Rule(("skipped_pass",), "a text that says passed, and a log that says skipped", never_run.skipped_elsewhere),
    Rule(("skipped_pass",), "a count of passes that counts what was skipped", never_run.all_passed),
    Rule(("void_gate",), "a gate that word counts alone pass", outcomes.void_gate),
    Rule(("below_entropy",), "a loss far below the entropy of its data", outcomes.below_entropy),
    Rule(("two_numbers",), "two counts of one thing", counts.two_numbers),
    Rule(("two_numbers",), "a loss in a text that the run's own files do not have", counts.losses_of_one_epoch),
    Rule(("two_numbers",), "two totals with digits exchanged", said.exchanged),
    Rule(("two_numbers",), "a last or best loss in a text that the only log beside it does not have", said.last_losses),
    Rule(("shard_count",), "a count of shards that differs from the files beside it", counts.shard_files),
    Rule(("two_numbers",), "two counts of shards that are nearly the same", counts.nearly_the_same),
    Rule(("shard_count",), "a sentence about shards that are not all there", counts.shards_in_words),
    Rule(("shard_count",), "a count of shards written to a folder that holds others", counts.shards_written),
    Rule(("growth",), "a factor or a share that its own numbers do not give", trends.growth),
    Rule(("growth",), "a factor between two named numbers that they do not give", trends.growth_by_names),
    Rule(("growth",), "a ratio in a row whose two numbers give another", trends.growth_by_rows),
    Rule(("not_monotonic",), "monotonic over a loss that rises", trends.monotony),
    Rule(("flip",), "a gate that passed and turned red later", history.flipped),
    Rule(("stale_record",), "a record whose inputs have changed since", history.stale_records),
)


def conflicts(where: Path | Connection) -> list[Conflict]:
    """Every contradiction that the rules find, by rule, each pair of places once; 1 s for 100,000 facts."""
    if isinstance(where, Path):
        return asked(where, conflicts)
    known = Known(where)
    found: dict[tuple[str, str, int, str, int], Conflict] = {}
    for rule in RULES:
        for conflict in rule.find(known):
            other = (conflict.b.path, conflict.b.line) if conflict.b else ("", 0)
            found.setdefault((conflict.kind, conflict.a.path, conflict.a.line, *other), conflict)
    return list(found.values())
