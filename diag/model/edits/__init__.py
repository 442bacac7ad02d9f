"""Every kind of edit, one file each. To add one, write its file and list its class here."""

from diag.model.edits.apply_scale import ApplyScale
from diag.model.edits.base import Edit
from diag.model.edits.copy import Copy
from diag.model.edits.drop_residual import DropResidual
from diag.model.edits.fresh import Fresh
from diag.model.edits.from_reference import FromReference
from diag.model.edits.leave_out_norm import LeaveOutNorm
from diag.model.edits.move_layers import MoveLayers
from diag.model.edits.other_norm import OtherNorm
from diag.model.edits.pair_rows import PairRows
from diag.model.edits.regather import Regather
from diag.model.edits.reorder import Reorder
from diag.model.edits.retag import Retag
from diag.model.edits.round_to import RoundTo
from diag.model.edits.scale import Scale
from diag.model.edits.scale_embedding import ScaleEmbedding
from diag.model.edits.scale_scores import ScaleScores
from diag.model.edits.scale_update import ScaleUpdate
from diag.model.edits.set_config import SetConfig, SuggestConfig
from diag.model.edits.set_eps import SetEps
from diag.model.edits.set_mask import SetMask
from diag.model.edits.shift import Shift
from diag.model.edits.skip_block import SkipBlock
from diag.model.edits.tile_heads import TileHeads
from diag.model.edits.turn_rows import TurnRows

EDITS: tuple[type[Edit], ...] = (
    ApplyScale,
    Copy,
    DropResidual,
    Fresh,
    FromReference,
    LeaveOutNorm,
    MoveLayers,
    OtherNorm,
    PairRows,
    Regather,
    Reorder,
    Retag,
    RoundTo,
    Scale,
    ScaleEmbedding,
    ScaleScores,
    ScaleUpdate,
    SetConfig,
    SetEps,
    SetMask,
    Shift,
    SkipBlock,
    SuggestConfig,
    TileHeads,
    TurnRows,
)
