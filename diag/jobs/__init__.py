"""Work that takes long: the tasks themselves, the worker process that runs them, and the queue in front of it."""
