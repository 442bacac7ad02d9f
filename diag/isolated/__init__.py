"""What a third-party parser does with an untrusted file happens in a child with limits on memory, time and output.

    parent: ask("tokenizer.open", path=…) → Answer        a call by its name in the table of calls.py
    parent: stream("parquet.chunks", path=…) → Answers    one at a time, as they are asked for

The child is started once and kept warm; whatever happens to it, the parent has one InputError about the file. It keeps
accidents of parsers off the server; it is no sandbox against code that a file would bring to run (docs/security.md).
"""

from diag.isolated.pool import ask, stream, warm
from diag.isolated.wire import Answer

__all__ = ["Answer", "ask", "stream", "warm"]
