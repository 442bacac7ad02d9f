"""Every defect that the zoo plants, by the row of the table that it counts in. A new one is a row of its file."""

from __future__ import annotations

from diag.zoo.defects.base import Defect
from diag.zoo.defects.h4a_tied import H4A
from diag.zoo.defects.h4b_layout import H4B
from diag.zoo.defects.h4c_norm import H4C
from diag.zoo.defects.h4d_residual import H4D
from diag.zoo.defects.others_in_config import IN_CONFIG
from diag.zoo.defects.others_in_tensors import IN_TENSORS

DEFECTS: tuple[Defect, ...] = H4A + H4B + H4C + H4D + IN_TENSORS + IN_CONFIG
SINGLE: dict[str, tuple[Defect, ...]] = {
    id: tuple(defect for defect in DEFECTS if defect.hypothesis == id)
    for id in sorted({defect.hypothesis for defect in DEFECTS})
}
