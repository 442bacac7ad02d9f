"""Every defect that the zoo plants, by the row of the table that it counts in. A new one is a row of its file."""

from __future__ import annotations

from diag.zoo.defects.base import Defect
from diag.zoo.defects.h4a_tied import H4A
from diag.zoo.defects.h4b_layout import H4B
from diag.zoo.defects.h4c_norm import H4C
from diag.zoo.defects.h4d_residual import H4D
from diag.zoo.defects.others_in_config import IN_CONFIG
from diag.zoo.defects.others_in_tensors import IN_TENSORS

SINGLE: dict[str, tuple[Defect, ...]] = {"H4A": H4A, "H4B": H4B, "H4C": H4C, "H4D": H4D}
OTHERS = IN_TENSORS + IN_CONFIG
DEFECTS: tuple[Defect, ...] = (*(row for rows in SINGLE.values() for row in rows), *OTHERS)
