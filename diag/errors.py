"""The one error that people see: what is wrong, where, and what to do next."""

from __future__ import annotations


class InputError(Exception):
    """The input cannot be used. Pages show it as a message, the command line prints it and exits with 2.

    `what` says what is wrong, `where` names the file, parameter or tensor, `fix` says what to do next.
    Each is one line: control characters from untrusted input are replaced before anyone prints them.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = (one_line(part) for part in (what, where, fix))
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head} {self.fix}".strip()


class Cancelled(Exception):
    """The person who started the work asked to stop it; nothing was recorded."""


class Enough(Exception):
    """Conclude from what is known by now, and say why: the person who started the work, or a limit of time, wants no
    more. Raised by a progress, once."""


def in_words(error: BaseException) -> str:
    """An unforeseen failure in one sentence, for people; whoever calls logs the traceback."""
    name = type(error).__name__
    text = str(error)
    if "OutOfMemory" in name or isinstance(error, MemoryError) or "can't allocate" in text:
        return "Not enough memory for this checkpoint and window. Ask for a smaller batch size or sequence length."
    return one_line(f"This failed unexpectedly ({name}: {text}).")


def one_line(text: str, limit: int = 400) -> str:
    """`text` without control characters or line breaks, cut at `limit` characters."""
    clean = "".join(c if c.isprintable() else " " for c in str(text)[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
