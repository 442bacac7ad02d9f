"""The worker, but that a case with a gate from POISON up runs into a device-side assert once its model is measured.

What is poisoned is CUDA's own: an index past the end, read on the card. On the CPU the error that CUDA would raise.
"""

from __future__ import annotations

from diag.jobs import worker
from diag.jobs.process import WorkerProcess

POISON = 1e6


class PoisonedWorker(WorkerProcess):
    """Its process runs this module."""

    module = "benchmarks.cards_worker"


class Poisoned(worker.Worker):
    """Like the worker it imports torch only once it says that it runs."""

    def run_forever(self) -> None:
        import torch

        from diag.jobs import tasks
        from diag.jobs.inputs import Inputs
        from diag.progress import Progress

        read = tasks.read

        def poisoned(inputs: Inputs, progress: Progress, *, lens: bool = True) -> tasks.Loaded:
            loaded = read(inputs, progress, lens=lens)
            if (inputs.case.gate_below or 0.0) >= POISON:
                if not torch.cuda.is_available():
                    raise RuntimeError("CUDA error: device-side assert triggered")
                torch.zeros(4, device="cuda")[torch.tensor([9], device="cuda")].sum().item()
            return loaded

        tasks.read = poisoned
        super().run_forever()


def main() -> None:
    """As the worker's."""
    worker.Worker = Poisoned
    worker.main()


if __name__ == "__main__":
    main()
