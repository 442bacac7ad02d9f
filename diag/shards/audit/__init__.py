"""Is the data real? Figures and alarms of a dataset of shards, file by file and as a whole."""
