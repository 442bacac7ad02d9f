"""The tables that benchmarks/signatures.py prints, and the bounds in them."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np


def bound(hits: int, total: int, level: float = 0.95) -> float:
    """One-sided Clopper-Pearson upper bound on a rate."""
    low, high = hits / max(1, total), 1.0
    for _ in range(60):
        rate = (low + high) / 2
        below = sum(math.comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(hits + 1))
        low, high = (rate, high) if below > 1 - level else (low, rate)
    return high


def table(title: str, head: str, rows: list[list[object]]) -> None:
    """A Markdown table."""
    print(f"\n## {title}\n\n| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for row in rows:
        print("| " + " | ".join(f"{x:.2f}" if isinstance(x, float) else str(x) for x in row) + " |")


def report(models: list[dict[str, Any]]) -> None:
    """Print the tables of docs/signatures.md, from what `measure` found in each model."""
    _by_model(models)
    _by_plant(models)
    _by_role(models)
    _rotary(models)
    sound = [s for m in models for s in m["sound"]]
    alarms, files = sum(s[3] for s in sound), sum(any(s[3] for s in m["sound"]) for m in models)
    print(
        f"\nFalse alarms: {alarms} of {len(sound)} sound matrices, at most {bound(alarms, len(sound)):.2%} (95 %); "
        f"{files} of {len(models)} sound files, at most {bound(files, len(models)):.0%}."
    )
    fresh, called = [f for m in models for f in m["fresh"]], sum(s[6] for s in sound)
    missed = sum(not f[2] for f in fresh)
    print(
        f"Trained matrices called fresh: {called} of {len(sound)}, at most {bound(called, len(sound)):.2%}; fresh ones "
        f"missed: {missed} of {len(fresh)}, at most {bound(missed, len(fresh)):.2%} (95 %)."
    )
    turned = [m["rotary"] for m in models if m["rotary"]]
    wrong = sum(r["as published"]["pairing"] == "adjacent" or r["adjacent"]["pairing"] == "halves" for r in turned)
    print(f"Wrong pairing named: {wrong} of {len(turned)} models, at most {bound(wrong, len(turned)):.0%} (95 %).")


def _by_model(models: list[dict[str, Any]]) -> None:
    rows: list[list[object]] = []
    for m in models:
        right, wrong = np.array([s[1] for s in m["sound"]]), np.array([s[2] for s in m["sound"]])
        ones = [t for name, t in m["tally"].items() if name.startswith("one ")]
        alarms, undecided = sum(s[3] for s in m["sound"]), sum(s[4] for s in m["sound"])
        found = f"{sum(t[1] for t in ones)} of {sum(t[0] for t in ones)}"
        figures = [float(x) for x in (right.min(), wrong.max(), (right - wrong).min())]
        called = f"{sum(f[2] for f in m['fresh'])} of {len(m['fresh'])}"
        start = [m["model"], m["width"], len(right), alarms, undecided, sum(s[6] for s in m["sound"])]
        rows.append([*start, *figures, found, called, sum(m["untrained"])])
    head = "model | width | matrices | false alarms | undecided | trained called fresh | lowest right | highest wrong"
    table("By model", head + " | smallest lead | one misread: found | one fresh: found | alarms if untrained", rows)
    ones = [t for m in models for name, t in m["tally"].items() if name.startswith("one ")]
    for words, missed in (
        ("Misread, not found", sum(t[0] - t[1] for t in ones)),
        ("Misread, taken for right", sum(t[5] for t in ones)),
    ):
        total = sum(t[0] for t in ones)
        print(f"\n{words}: {missed} of {total} single ones, at most {bound(missed, total):.2%} (95 %).")


def _by_plant(models: list[dict[str, Any]]) -> None:
    total: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for m in models:
        for group, row in m["tally"].items():
            total[group] = [a + b for a, b in zip(total[group], row, strict=True)]
    rows: list[list[object]] = [
        [
            *(group, t[0], t[1], t[2], f"{bound(t[0] - t[1], t[0]):.1%}" if group.startswith("one ") else ""),
            *(t[5], t[3], t[4]),
        ]
        for group, t in sorted(total.items(), key=lambda item: item[0].split()[0])
    ]
    head = "misread | planted | found | reading named | missed, at most (95 %) | taken for right | sound beside"
    table("Layout, by what is misread", head + " | false alarms", rows)


def _by_role(models: list[dict[str, Any]]) -> None:
    sound = [s for m in models for s in m["sound"]]
    fresh = [f for m in models for f in m["fresh"]]
    rows: list[list[object]] = []
    for role in dict.fromkeys(s[0] for s in sound):
        own, planted = [s for s in sound if s[0] == role], [f for f in fresh if f[0] == role]
        spread = np.array([s[5] for s in own])
        near = f"{np.mean(np.abs(spread - 1) < 0.1):.0%}"
        caught = f"{sum(f[2] for f in planted)} of {len(planted)}"
        scores = [float(x) for x in (min(s[1] for s in own), max(f[1] for f in planted))]
        rows.append([role, len(own), float(spread.min()), float(np.median(spread)), near, *scores, caught])
    head = "role | matrices | cv · √2d, lowest | median | within 10 % of fresh | trained: lowest score"
    table("Fresh initialisation, by role", head + " | fresh: highest score | fresh: found", rows)


def _rotary(models: list[dict[str, Any]]) -> None:
    rows: list[list[object]] = []
    for m in models:
        cells = [
            f"{s['lead']:+.2f} ± {s['stderr']:.2f} {s['pairing']} {s['layers_agreeing']}/{s['layers']}"
            for s in m["rotary"].values()
        ]
        if cells:
            rows.append([m["model"], *cells])
    cases = next((m["rotary"] for m in models if m["rotary"]), {})
    table("Rotary pairing: lead, standard error, name, layers that agree", "model | " + " | ".join(cases), rows)
