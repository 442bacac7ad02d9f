"""One reader a weight-file format; `open_checkpoint` finds the one that a path needs."""

from diag.checkpoints.formats.registry import FORMATS, checksum_matches, open_checkpoint

__all__ = ["FORMATS", "checksum_matches", "open_checkpoint"]
