"""Every chart of the pages: pure functions from results to figures. No Streamlit, no files, at most 2,000 marks each.

They stand on dark and light pages alike (transparent, mid tones, the theme's own text colour), and say with symbols
and dashes what they say with colour.
"""

from diag.ui.charts.by_file import ids_by_file
from diag.ui.charts.entropy import entropy_bar, entropy_marks
from diag.ui.charts.heat import components, stream_by_position
from diag.ui.charts.layers import layers, logit_lens, shares
from diag.ui.charts.positions import positions
from diag.ui.charts.repairs import repairs
from diag.ui.charts.ruler import ruler
from diag.ui.charts.shard import coverage, document_lengths, rank_frequency
from diag.ui.charts.weights import profile, row_cosines, row_norms, values

__all__ = [
    "components",
    "coverage",
    "document_lengths",
    "entropy_bar",
    "entropy_marks",
    "ids_by_file",
    "layers",
    "logit_lens",
    "positions",
    "profile",
    "rank_frequency",
    "repairs",
    "row_cosines",
    "row_norms",
    "ruler",
    "shares",
    "stream_by_position",
    "values",
]
