"""What every page shares: the entry script, the server, the picked case, jobs, small pieces."""
