"""`test --claim-from FILE:LINE`: the claimed loss, its unit, the shard and the checkpoint as a document gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diag.errors import InputError
from diag.settings import load_settings


def fill(context: typer.Context, place: str | None) -> str | None:
    """Give the options that a line of a document answers their values; those that are given win. Runs before them."""
    if place is None:
        return None
    from diag.catalogue import scan
    from diag.evidence.claims import claim_at

    name, colon, line = place.rpartition(":")
    if not colon or not line.isdecimal():
        raise InputError(f"'{place}' is no place.", where="--claim-from", fix="Write FILE:LINE, as facts are cited.")
    found = claim_at(Path(name), int(line), scan(load_settings()))
    values: dict[str, object] = {"claimed_loss": found.claim.loss, "claimed_unit": found.claim.unit}
    if found.shard:
        values["shard"] = str(found.shard.path)
    if found.checkpoint:
        values["checkpoint"] = str(found.checkpoint.path)
    context.default_map = {**(context.default_map or {}), **values}
    return place


ClaimFrom = Annotated[
    str | None,
    typer.Option(
        "--claim-from",
        metavar="FILE:LINE",
        callback=fill,
        is_eager=True,
        help="Take claim, shard and checkpoint from a line.",
    ),
]
