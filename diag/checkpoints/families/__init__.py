"""Model families as a table: which tensors a family has, what shape each one takes, which side faces the stream."""

from diag.checkpoints.families.base import Family, Kind, Role, Side
from diag.checkpoints.families.shapes import dimension_sizes, expected_shape, expected_tensors, is_tied
from diag.checkpoints.families.table import FAMILIES

__all__ = [
    "FAMILIES",
    "Family",
    "Kind",
    "Role",
    "Side",
    "dimension_sizes",
    "expected_shape",
    "expected_tensors",
    "is_tied",
]
