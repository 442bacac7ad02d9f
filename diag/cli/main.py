"""The command `subrandom`, which is `python -m diag` too: its commands put together, and its exit codes."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

import diag
from diag import installation
from diag.cli import cases, evidence, files, interrupt, records, repairs, workspace
from diag.cli.options import examples, help_without_command
from diag.errors import InputError, in_words

PROGRAM = "subrandom"

app = typer.Typer(
    help="Find out why a checkpoint that loads without an error predicts worse than chance.",
    epilog=examples("subrandom demo", "subrandom test --checkpoint runs/step-100 --shard corpus/val.bin"),
    rich_markup_mode=None,  # examples and brackets are printed as they are written
    pretty_exceptions_enable=False,
)
for group in (workspace, files, cases, repairs, evidence, records):
    group.add_to(app)


def _version(asked: bool) -> None:
    if asked:
        print(f"{PROGRAM} {diag.__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options without a command."""
    help_without_command(context)


def main() -> None:
    """Run a command. Exit codes: 0 computed, 1 failed the gate, 2 unusable input, 130 interrupted."""
    interrupt.install()
    installation.stay_offline()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a mark that the terminal cannot show must not lose the result
        sys.stdout.reconfigure(errors="replace")
    try:
        code = app(standalone_mode=False, prog_name=PROGRAM)
    except InputError as error:
        code = _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # `| head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        says = getattr(error, "format_message", None)  # typer's own errors about arguments; their class is private
        if says is not None:
            code = _refuse(f"{says().rstrip('.')}. See {PROGRAM} --help.") if says() else 2
        elif os.environ.get("SUBRANDOM_DEBUG"):
            raise
        else:
            code = _refuse(f"{in_words(error)} Set SUBRANDOM_DEBUG=1 for the traceback.")
    if code == 130:  # typer's own code for it too
        interrupt.leave()
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(sentence: str) -> int:
    print(" ".join(sentence.split()), file=sys.stderr)
    return 2
