"""One reader a token-file format; `open_shard` finds the one that a path needs."""
