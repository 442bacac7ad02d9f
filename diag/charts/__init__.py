"""Every chart of the pages: pure functions from results to figures. No Streamlit, no files, at most 2,000 marks each.

They stand on dark and light pages alike (transparent, mid tones, the theme's own text colour), and say with symbols
and dashes what they say with colour.
"""

from diag.charts.by_file import ids_by_file
from diag.charts.entropy import entropy_bar, entropy_marks
from diag.charts.heat import components, stream_by_position
from diag.charts.layers import layers, logit_lens, shares
from diag.charts.positions import positions
from diag.charts.repairs import repairs
from diag.charts.ruler import ruler
from diag.charts.shard import coverage, document_lengths, rank_frequency
from diag.charts.waterfall import waterfall
from diag.charts.weights import profile, row_cosines, row_norms, values

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
    "waterfall",
]
