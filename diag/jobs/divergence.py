"""The task behind `diverge`: both models of a case loaded and compared. Imports torch."""

from __future__ import annotations

import torch

from diag.errors import InputError
from diag.jobs.inputs import Inputs
from diag.model.build import build, pick_device, pick_dtype
from diag.model.diverge import diverge
from diag.model.estimate import BYTES
from diag.model.loaded import LoadedModel
from diag.progress import Progress, part
from diag.results.divergence import Divergence

BEGINNING = (2, 128)  # sequences and targets that a measurement compares: seconds on two cores for the demo
ROOM = 0.7  # of the device's free memory that the weights of both may take; blocks and activations need the rest


def compare(inputs: Inputs, progress: Progress, *, double: bool = False) -> Divergence:
    """The first divergence of a case's checkpoint from its reference. double: in float64, whatever the case says.

    Costs two loads and about eight passes over the window. Where a GPU has no room for both, the weights stay in host
    memory and one layer of both is on the GPU at a time.
    """
    if inputs.reference is None:
        raise InputError("There is nothing to compare with.", fix="Give a reference.")
    device = pick_device(inputs.case.device)
    dtype = "fp64" if double else pick_dtype(inputs.case.dtype, device)
    home = device
    if device.type == "cuda":
        needed = BYTES[dtype] * (inputs.checkpoint.parameters + inputs.reference.parameters)
        home = device if needed < ROOM * torch.cuda.mem_get_info(device)[0] else torch.device("cpu")
    models = []
    for i, checkpoint in enumerate((inputs.checkpoint, inputs.reference)):
        progress(0.1 * i, f"Loading the {('checkpoint', 'reference')[i]}")
        models.append(build(checkpoint, device=home.type, dtype=dtype))
    says = part(progress, 0.2, 1.0)
    ids, batch_size = inputs.window.ids, inputs.case.window.batch_size
    return diverge(models[0], models[1], ids, batch_size=batch_size, device=device, progress=says)


def at_the_beginning(
    inputs: Inputs, candidate: LoadedModel, reference: LoadedModel, progress: Progress
) -> tuple[Divergence | None, tuple[str, ...]]:
    """The divergence of two models that are loaded, on the beginning of the window; or None, and why."""
    progress(0.0, "Looking for the first divergence")
    ids = inputs.window.ids[: BEGINNING[0], : BEGINNING[1] + 1]
    try:
        found = diverge(candidate, reference, ids, batch_size=len(ids), progress=progress)
    except InputError as error:
        return None, (f"The two were not compared component by component. {error.what}",)
    return found, ()
