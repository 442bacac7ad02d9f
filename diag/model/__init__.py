"""From a checkpoint's bytes to a live module: its loss, its layers, and the same with one thing changed.

Nothing is imported here, so that `diag.model.edits` can be read by processes that never load torch.
"""
