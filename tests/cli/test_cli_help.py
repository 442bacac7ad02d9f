"""What a person sees first: help with two examples that work, a version, completion, and sentences for what lacks."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import diag
from diag.cli.main import app

ROOT = Path(__file__).resolve().parents[2]


def commands(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that call it."""
    yield names, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*names, name))


ALL = dict(commands(get_command(app)))


def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "diag", *args]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("names", ALL, ids=lambda names: " ".join(names) or "subrandom")
def test_every_help_has_two_examples_that_parse(names: tuple[str, ...]) -> None:
    with ALL[names].make_context("subrandom", [], resilient_parsing=True) as context:
        lines = [line.strip() for line in ALL[names].get_help(context).splitlines()]
    assert lines.count("Examples:") == 1
    examples = lines[lines.index("Examples:") + 1 :]
    assert len(examples) == len(set(examples)) == 2, examples
    for example in examples:
        program, *words = shlex.split(example)
        called = next(key for key in sorted(ALL, key=len, reverse=True) if tuple(words[: len(key)]) == key)
        assert program == "subrandom" and called[: len(names)] == names and called
        ALL[called].make_context("subrandom", words[len(called) :]).close()  # raises for what cannot be parsed


def test_the_case_of_forward_and_test_has_the_same_options() -> None:
    of_forward, of_test = ({p.name: p for p in ALL[(name,)].params} for name in ("forward", "test"))
    shared = ["checkpoint", "shard", "reference", "batches", "batch_size", "seq_len", "device", "dtype", "json"]
    assert [*of_forward] == shared
    for name in shared:
        one, other = of_forward[name], of_test[name]
        assert (one.opts, one.default, one.required, one.help) == (
            other.opts,
            other.default,
            other.required,
            other.help,
        )
    assert [name for name in shared if of_test[name].required] == ["checkpoint", "shard"]
    assert of_test["seq_len"].opts == ["--seq-len"] and of_test["seq_len"].default == 512


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").stdout == f"subrandom {diag.__version__}\n"


@pytest.mark.parametrize(
    ("args", "holds"), [((), "checkpoint  What does"), (("evidence",), "search     Search records")]
)
def test_a_group_alone_prints_its_help_and_exits_with_2(args: tuple[str, ...], holds: str) -> None:
    done = run(*args)
    assert done.returncode == 2 and done.stdout == "" and holds in done.stderr and "Examples:\n" in done.stderr


def test_a_shell_completes_commands_and_options() -> None:
    for words, expected in (("subrandom for", "forward"), ("subrandom test --claimed-", "--claimed-loss")):
        asked = {"_SUBRANDOM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        assert expected in run(env=asked).stdout.split()


def test_the_dashboard_is_refused_in_one_line_where_its_packages_are_missing() -> None:
    code = "import sys; sys.modules['streamlit'] = None; sys.argv = ['subrandom', 'app']\n"
    code += "from diag.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    said = 'The dashboard needs streamlit, which is not installed. Run: pip install "subrandom[app]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_the_dashboard_names_a_taken_port_and_a_root_that_is_not_there(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("app", "--port", port)
    assert done.returncode == 2 and f"Port {port} of 127.0.0.1 cannot be used" in done.stderr
    done = run("app", "--root", str(tmp_path / "none"))
    assert done.returncode == 2 and "There is no such folder" in done.stderr
