"""Model families as a table: which tensors a family has, what shape each one takes, which side faces the stream."""

from diag.checkpoints.families.base import Family, Kind, Role, Side
from diag.checkpoints.families.shapes import dimensions, expected_shape, expected_tensors, is_tied, projections
from diag.checkpoints.families.table import FAMILIES
from diag.checkpoints.identify.family import contradiction, declared_family, family_of, named_family

__all__ = [
    "FAMILIES",
    "Family",
    "Kind",
    "Role",
    "Side",
    "contradiction",
    "declared_family",
    "dimensions",
    "expected_shape",
    "expected_tensors",
    "family_of",
    "is_tied",
    "named_family",
    "projections",
]
