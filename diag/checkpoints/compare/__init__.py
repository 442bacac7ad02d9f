"""Two checkpoints tensor by tensor: equal, the same in another form, or different."""
