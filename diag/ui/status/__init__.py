"""The operator's page: devices, workers, queue, memory, disk, index, versions."""
