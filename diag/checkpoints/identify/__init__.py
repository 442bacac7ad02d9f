"""Which model a file holds: its family, its dimensions, and where each value comes from."""
