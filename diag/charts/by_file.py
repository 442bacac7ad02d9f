"""The ids that vary most from file to file, as a heat map: one look tells the file that holds something else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from diag.charts.style import axis, blank, escape

_ROW_PX = 17
_MOST = 3.0  # doublings: an eighth to eight times
# Diverging, and told apart without hue: both ends are saturated, the middle is the page's own ground.
_SCALE = [[0.0, "#D9469A"], [0.5, "rgba(128,138,152,0.12)"], [1.0, "#3B82F6"]]


def ids_by_file(
    ids: Sequence[str],
    files: Sequence[str],
    shares: npt.NDArray[np.float64],
) -> go.Figure:
    """shares [ids, files]: fractions of each file's tokens. Coloured by how many times an id's share in the median file
    it has in each; hovering says the share. At most 30 × 60 cells."""
    usual = np.median(shares, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        doublings = np.log2(shares / usual)
    doublings = np.clip(np.nan_to_num(doublings, posinf=_MOST, neginf=-_MOST), -_MOST, _MOST)
    figure = blank(110 + _ROW_PX * len(ids))
    told = np.dstack([100 * shares, np.broadcast_to(100 * usual, shares.shape)])
    figure.add_heatmap(
        z=doublings.astype(np.float32),
        x=[escape(name, 40) for name in files],
        y=[escape(name, 28) for name in ids],
        customdata=told.astype(np.float32),
        zmin=-_MOST,
        zmax=_MOST,
        colorscale=_SCALE,
        xgap=1,
        ygap=1,
        hovertemplate="%{y} in %{x}: %{customdata[0]:.3g} % of the tokens, in the median file %{customdata[1]:.3g} %"
        "<extra></extra>",
        colorbar={
            "title": {"text": "share, × that of the median file", "side": "right"},
            "tickvals": [-3, -2, -1, 0, 1, 2, 3],
            "ticktext": ["≤ ⅛", "¼", "½", "1", "2", "4", "≥ 8"],
            "thickness": 12,
            "outlinewidth": 0,
        },
    )
    figure.update_layout(
        xaxis=axis("file, in reading order", type="category", showgrid=False, nticks=12),
        yaxis=axis("", type="category", autorange="reversed", showgrid=False, dtick=1),
    )
    return figure
