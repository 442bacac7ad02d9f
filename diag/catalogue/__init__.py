"""What can be picked: the shards, checkpoints and evidence folders under the roots, each with a stable id.

A link or a request names an id, never a path; only what a scan found below a root can be opened.
"""

from diag.catalogue.entries import ADD_A_ROOT, Catalogue, Entry, Kind
from diag.catalogue.tokenizers import other_tokenizers
from diag.catalogue.walk import scan

__all__ = ["ADD_A_ROOT", "Catalogue", "Entry", "Kind", "other_tokenizers", "scan"]
