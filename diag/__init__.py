"""Subrandom: find out why a checkpoint that loads without an error predicts worse than chance.

    open_shard, audit_shard              a token file or a folder of them: is the data real?
    open_checkpoint, audit_checkpoint    a weight file or folder: what does it really hold?
    measure                              the loss as loaded, on its ruler
    test                                 which defect explains it, with live forward passes
    diverge                              the first component that departs from a sound copy
    Window, Claim                        what is looked at, and the loss that somebody else reported
    Record, write_record                 a result made permanent
    InputError                           the one error about input: what is wrong, where, what to do

Importing the package imports none of it; a name is looked up when it is first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diag.api import diverge, measure, test, write_record
    from diag.case import Window
    from diag.checkpoints import audit_checkpoint, open_checkpoint
    from diag.errors import InputError
    from diag.results.record import Record
    from diag.shards import audit_shard, open_shard
    from diag.units import Claim

__version__ = "0.1.0"

__all__ = [
    "Claim",
    "InputError",
    "Record",
    "Window",
    "__version__",
    "audit_checkpoint",
    "audit_shard",
    "diverge",
    "measure",
    "open_checkpoint",
    "open_shard",
    "test",
    "write_record",
]

_HOMES = {
    "Claim": "diag.units",
    "InputError": "diag.errors",
    "Record": "diag.results.record",
    "Window": "diag.case",
    "audit_checkpoint": "diag.checkpoints",
    "audit_shard": "diag.shards",
    "diverge": "diag.api",
    "measure": "diag.api",
    "open_checkpoint": "diag.checkpoints",
    "open_shard": "diag.shards",
    "test": "diag.api",
    "write_record": "diag.api",
}

# OpenMP's threads spin while they wait, unless told otherwise before torch is loaded. On a machine that does something
# else too, spinning starves the thread that has the work: two tests at once on two cores took 163 s each with it and
# 22 s without (benchmarks/README.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'diag' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
