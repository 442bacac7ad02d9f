"""The columns of the activations page's table."""

from __future__ import annotations

from diag.ui.shell.columns import Columns, count, figure, name, nats, text

_RMS = "Root mean square over tokens and channels."
_SHARE = "Norm of the update over the norm of the stream it is added to."

_ALONG = "Of this checkpoint's own run against the reference's, over the norm of the reference's values."

COMPONENTS: Columns = {
    "component": text("Component", width="medium"),
    "own": figure("Own error", "For the reference's input, over the norm of the output."),
    "floor": figure("Noise floor", "The reference's component again, in another order and a wider type."),
    "error_in": figure("Error in", _ALONG),
    "error_out": figure("Error out", _ALONG),
    "ratio": figure(
        "Out / in", "Above 1 the component makes the error larger; – where the error begins, or there is none."
    ),
    "tensor": text("Tensor", width="large"),
}
LAYERS: Columns = {
    "layer": name("Layer", "0 is the first block."),
    "odd": text("What looks wrong", width="large"),
    "residual_rms": figure("Stream RMS", _RMS),
    "residual_rms_reference": figure("… reference", _RMS),
    "attention_rms": figure("Attention RMS", _RMS),
    "attention_rms_reference": figure("… reference", _RMS),
    "mlp_rms": figure("MLP RMS", _RMS),
    "mlp_rms_reference": figure("… reference", _RMS),
    "attention_share": figure("Attention / stream", _SHARE),
    "mlp_share": figure("MLP / stream", _SHARE),
    "logit_lens_nats": nats("Logit lens (nats)", "Loss if norm and head read the stream after this layer."),
    "nonfinite": count("NaN or inf (count)"),
}
