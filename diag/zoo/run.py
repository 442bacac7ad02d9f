"""All cases of a run, in one process or several, with what is finished kept line by line."""

from __future__ import annotations

import json
import math
import multiprocessing
import re
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from diag.zoo.bench import Bench, Options
from diag.zoo.cases import Stream

Result = dict[str, Any]
Number = tuple[Stream, int]
_bench: Bench | None = None  # of this process


def numbers(cases: int, controls: int) -> list[Number]:
    """The cases of a run."""
    streams: tuple[tuple[Stream, int], ...] = (("defect", cases), ("control", controls))
    return [(stream, i) for stream, count in streams for i in range(count)]


def run(options: Options, cases: int, controls: int, jobs: int) -> None:
    """Test what is not finished yet; each result becomes a line of the work folder's results.jsonl."""
    options.work.mkdir(parents=True, exist_ok=True)
    done = {(r["stream"], r["number"], r["mode"]) for r in _stored(options)}
    todo = [
        (which, modes)
        for which in numbers(cases, controls)
        if (modes := tuple(mode for mode in options.modes if (*which, mode) not in done))
    ]
    started = time.monotonic()
    with _file(options).open("a") as out:
        for i, results in enumerate(_results(options, todo, jobs)):
            for result in results:
                out.write(json.dumps(result) + "\n")
            out.flush()
            if results or i + 1 == len(todo):
                _say(i + 1, len(todo), time.monotonic() - started)


def finished(options: Options, cases: int, controls: int) -> list[Result]:
    """The stored results of these cases, in their order."""
    order = {which: i for i, which in enumerate(numbers(cases, controls))}
    wanted = re.compile(options.only)
    found = [
        r
        for r in _stored(options)
        if (r["stream"], r["number"]) in order and r["mode"] in options.modes and wanted.search(r["case"])
    ]
    return sorted(found, key=lambda r: (order[r["stream"], r["number"]], options.modes.index(r["mode"])))


def keep(options: Options, cases: int, controls: int, folder: Path) -> None:
    """Write the checkpoints of these cases, each into a folder of its name, and say with which shard they go."""
    bench = Bench(options)
    for stream, number in numbers(cases, controls):
        drawn = bench.draw(stream, number)
        if re.search(options.only, drawn.name):
            path, shard = bench.write(drawn, number, folder / drawn.name)
            print(f"{drawn.name}: --checkpoint {path} --shard {shard}")


def _results(options: Options, todo: list[tuple[Number, tuple[str, ...]]], jobs: int) -> Iterator[list[Result]]:
    if jobs <= 1:
        _begin(options)
        yield from (_run_one(*each) for each in todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (options, True)) as pool:
        for future in as_completed([pool.submit(_run_one, *each) for each in todo]):
            yield future.result()


def _begin(options: Options, shared: bool = False) -> None:
    """Open the run in this process; one thread each where several share the machine."""
    global _bench  # noqa: PLW0603  a process pool has no other place for it
    if shared:
        import torch

        torch.set_num_threads(1)
    _bench = Bench(options)


def _run_one(which: Number, modes: tuple[str, ...]) -> list[Result]:
    """The results of one case; none where its name was not asked for."""
    assert _bench is not None
    options = _bench.options
    drawn = _bench.draw(*which)
    if not re.search(options.only, drawn.name):
        return []
    about = {"setting": options.setting, "seed": options.seed, "stream": which[0], "number": which[1]}
    return [about | _plain(result) for result in _bench.run(drawn, which[1], modes)]


def _plain(result: Result) -> Result:
    """inf as text, which JSON has no number for."""
    truth = result["truth"]
    costs = [cost if math.isfinite(cost) else str(cost) for cost in truth["costs"]]
    return result | {"truth": truth | {"costs": costs}}


def _file(options: Options) -> Path:
    return options.work / "results.jsonl"


def _stored(options: Options) -> Iterable[Result]:
    """What was finished under this setting and seed; a line that was cut short is done again."""
    path = _file(options)
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            result = json.loads(line)
        except ValueError:
            continue
        if result.get("setting") == options.setting and result.get("seed") == options.seed:
            yield result


def _say(done: int, total: int, seconds: float) -> None:
    left = seconds / done * (total - done)
    print(f"\r{done} of {total} cases, {seconds:.0f} s, about {left:.0f} s left ", end="", file=sys.stderr, flush=True)
    if done == total:
        print(file=sys.stderr)
