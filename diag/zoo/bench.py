"""One case through the tool: plant it, test it as `subrandom test` does, and keep what was planted with the answer.

Imports torch when the first case runs.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import diag
from diag.case import Case, Device, DType, Window
from diag.checkpoints import open_checkpoint
from diag.cli.test import to_json
from diag.errors import InputError
from diag.jobs.inputs import Inputs, join_inputs
from diag.progress import silent
from diag.shards import TokenDataset, open_shard
from diag.units import Claim
from diag.zoo.cases import Drawn, Models, Stream, draw
from diag.zoo.gguf_file import write_gguf
from diag.zoo.judge import COUNTED_NATS, Answer, Truth
from diag.zoo.model import Change, Model, models_in, open_model, write_model
from diag.zoo.relatives import TRAININGS, Training, relative
from diag.zoo.shards import bad_shard, text_shard

MODES = ("none", "twin", "relative")
KEPT = (
    *("loss_nats", "stderr_nats", "reference_nats", "bigram_nats", "unigram_nats", "chance_nats", "zone", "conclusion"),
    *("reference", "differences", "joint", "yardstick", "seconds", "forward_passes"),
)
REPAIR = ("name", "loss_nats", "delta_nats", "localiser")


@dataclass(frozen=True)
class Options:
    """What a run asks for. seed: of the cases; window: its text form."""

    models: Path
    shard: Path
    work: Path
    seed: int = 0
    window: str = "4x4x64"
    device: Device = "auto"
    dtype: DType = "auto"
    modes: tuple[str, ...] = MODES
    only: str = ""

    @property
    def setting(self) -> str:
        """What a result depends on beside its case: the code, the models, the shard and the window, as a short hash."""
        parts = (code_version(), str(self.models), str(self.shard), self.window, self.device, self.dtype)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


@cache
def code_version() -> str:
    """The version, and a hash over the sources that a verdict or a case depends on."""
    total, root = hashlib.sha256(), Path(diag.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] not in ("ui", "report") and path.name not in ("judge.py", "table.py"):
            total.update(path.read_bytes())
    return f"{diag.__version__}-{total.hexdigest()[:12]}"


class Opened(Models):
    """The models of a run."""

    def __init__(self, paths: dict[str, Path]) -> None:
        super().__init__(sorted(paths))
        self.paths, self._open = paths, cache(lambda name: open_model(paths[name]))

    def open(self, name: str) -> Model:
        return self._open(name)


class Bench:
    """Runs cases one after the other, in one process."""

    def __init__(self, options: Options) -> None:
        self.options, self.models = options, Opened(models_in(options.models))
        self.shard = open_shard(options.shard)
        self._shards: dict[Path, TokenDataset] = {options.shard: self.shard}
        self._healthy: dict[str, float] = {}

    def draw(self, stream: Stream, number: int) -> Drawn:
        """Case `number` of a stream."""
        return draw(stream, self.options.seed, number, self.models)

    def run(self, drawn: Drawn, number: int, modes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """A result for each mode: {"case", "mode", "truth", "answer", "seconds"}. The files are gone afterwards."""
        self.options.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.options.work, prefix=".planted-") as scratch:
            path, shard = self.write(drawn, number, Path(scratch) / drawn.model)
            truth = self._truth(drawn, path, Path(scratch))
            for mode in modes:
                started = time.perf_counter()
                answer = self._answer(drawn, path, shard, self._reference(drawn, number, mode))
                yield {
                    "case": drawn.name,
                    "mode": mode,
                    "truth": asdict(truth),
                    "answer": answer,
                    "seconds": round(time.perf_counter() - started, 3),
                }

    def write(self, drawn: Drawn, number: int, folder: Path) -> tuple[Path, Path]:
        """The planted checkpoint in `folder`, and the shard that it is tested on."""
        model, source = self.models.open(drawn.model), self.models.paths[drawn.model]
        shard, path = self.options.shard, source
        if drawn.planted:
            path = write_model(model.changed(_all(drawn)), folder)
        if (control := drawn.control) is not None:
            if control.training:
                path = self._relative(drawn.model, control.training, seed=1)
            elif control.gguf:
                path = write_gguf(model, folder, control.gguf)
            elif not control.text:
                path = write_model(model.changed(drawn.change), folder)
            else:
                shard = self._made(f"{control.text}-{drawn.model}", lambda to: text_shard(control.text, source, to, 0))
        if (data := drawn.data) is not None:
            shard = self._made(f"{data.name}-{drawn.model}", lambda to: bad_shard(data, self.shard, model, to, 0))
        return path, shard

    def _made(self, name: str, make: Callable[[Path], Path]) -> Path:
        """A shard of the work folder, made when it is not there."""
        folder = self.options.work / "shards" / name
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
            made = make(scratch / "shard")
            if not folder.exists():
                made.rename(folder)
            shutil.rmtree(scratch, ignore_errors=True)
        return folder

    def _relative(self, name: str, kind: str, seed: int) -> Path:
        training = Training(self.models.open(name), self.models.paths[name], self.shard, self.options.device)
        return relative(training, kind, seed, self.options.work)

    def _reference(self, drawn: Drawn, number: int, mode: str) -> Path | None:
        if mode == "none":
            return None
        if mode == "twin":
            return self.models.paths[drawn.model]
        return self._relative(drawn.model, TRAININGS[number % len(TRAININGS)], seed=0)

    def _truth(self, drawn: Drawn, path: Path, scratch: Path) -> Truth:
        """What was planted, with what each defect costs alone. A second defect that costs nothing is no second one."""
        if not drawn.planted:
            also = drawn.data.also if drawn.data else ()
            return Truth(drawn.row, ("H0",) if drawn.data else (), also=also)
        model = self.models.open(drawn.model)
        change, rows = _all(drawn), [defect for defect, _ in drawn.planted]
        costs = []
        for i, (_, each) in enumerate(drawn.planted):
            alone = path if len(rows) == 1 else write_model(model.changed(each), scratch / f"alone-{i}")
            costs.append(self._loss(alone) - self._healthy_loss(drawn.model))
        kept = [i for i, cost in enumerate(costs) if not cost <= COUNTED_NATS] or [0]
        layers = model.layers_of(change.names)
        inside = all((role := model.family.role_of(name)) and role[1] is not None for name in change.names)
        also = tuple(id for defect in rows for id in defect.also)
        also += tuple(rows[i].hypothesis for i in range(len(rows)) if i not in kept)
        return Truth(
            row=drawn.row if len(kept) == len(rows) else rows[kept[0]].hypothesis,
            hypotheses=tuple(rows[i].hypothesis for i in kept),
            own_repair=tuple(rows[i].own_repair for i in kept),
            also=also,
            names=change.names,
            keys=tuple(change.config),
            layers=layers,
            local=inside and 0 < len(layers) < model.layers and not change.config,
            costs=tuple(costs[i] if math.isfinite(costs[i]) else math.inf for i in kept),
        )

    def _healthy_loss(self, name: str) -> float:
        if name not in self._healthy:
            self._healthy[name] = self._loss(self.models.paths[name])
        return self._healthy[name]

    def _loss(self, path: Path) -> float:
        """Nats a token on the window; NaN where it is not finite or cannot be computed."""
        from diag.jobs import tasks

        try:
            inputs = self._inputs(path, self.options.shard, None)
            measured = tasks.read(inputs, silent, lens=False).baseline.measurement
        except InputError:
            return math.nan
        return measured.loss_nats if measured else math.nan

    def _answer(self, drawn: Drawn, path: Path, shard: Path, reference: Path | None) -> Answer:
        """The part of the JSON of `test` that is judged; {"error"} where the tool refused or failed."""
        from diag.jobs import tasks

        claim = None
        if drawn.claim is not None:
            factor, more = drawn.claim
            claim = Claim(self._healthy_loss(drawn.model) * factor + more, "nats")
        try:
            answer = to_json(tasks.test(self._inputs(path, shard, reference, claim), (), silent))
        except InputError as error:
            return {"error": f"refused: {error.what}"}
        except Exception as error:
            return {"error": f"failed: {type(error).__name__}: {error}"}
        found = {key: answer[key] for key in KEPT if key in answer}
        found["findings"] = [
            {"id": f["id"], "status": f["status"], "repairs": [{k: r[k] for k in REPAIR} for r in f["repairs"]]}
            for f in answer.get("findings") or ()
        ]
        return found

    def _inputs(self, path: Path, shard: Path, reference: Path | None, claim: Claim | None = None) -> Inputs:
        o = self.options
        if shard not in self._shards:
            self._shards[shard] = open_shard(shard)
        case = Case(
            shard=str(shard),
            checkpoint=str(path),
            reference=str(reference) if reference else None,
            window=Window.parse(o.window),
            device=o.device,
            dtype=o.dtype,
            claim=claim,
        )
        theirs = open_checkpoint(reference) if reference else None
        return join_inputs(case, self._shards[shard], open_checkpoint(path), theirs)


def _all(drawn: Drawn) -> Change:
    """Everything that was planted, as one change."""
    change = Change()
    for _, each in drawn.planted:
        change = change.joined(each)
    return change
