"""What each planted defect costs: the loss of a trained checkpoint and of its broken copies on the demo's window.

    python3 data/train/check.py --model OUT --data .train --out OUT/defects.json

A defect that costs less than 0.3 nats would be a poor example. 64 windows of 512 + 1 ids, float32; seconds on a GPU,
some minutes on a CPU (fewer with --windows).
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
import torch.nn.functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM

from diag.demo.defects import DEFECTS, EMBEDDING, HEAD
from diag.demo.tensors import Tensors, read_tensors, to_float

LEAST_COST = 0.3  # nats


def build(config: Qwen2Config, tensors: Tensors, device: str) -> Qwen2ForCausalLM:
    """A float32 model with exactly these weights: a head in the file is used, whatever the config says."""
    untied = Qwen2Config(**{**config.to_dict(), "tie_word_embeddings": False})
    model = Qwen2ForCausalLM(untied)
    state = {name: torch.from_numpy(to_float(bits)) for name, bits in tensors.items()}
    state.setdefault(HEAD, state[EMBEDDING])
    model.load_state_dict(state, strict=True)
    torch.nn.Module.to(model, device, torch.float32)
    return model.eval()


@torch.no_grad()
def sequence_losses(model: Qwen2ForCausalLM, ids: torch.Tensor) -> np.ndarray:
    """float64 [n]: mean cross-entropy in nats of each row of ids [n, seq + 1]."""
    losses = []
    for part in ids.split(8):
        logits = model(input_ids=part[:, :-1], use_cache=False).logits.float()
        each = F.cross_entropy(logits.transpose(1, 2), part[:, 1:], reduction="none")  # [batch, seq]
        losses.append(each.mean(dim=1).double().cpu().numpy())
    return np.concatenate(losses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seq-len", type=int, default=512)
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    config = Qwen2Config.from_pretrained(args.model)
    healthy = read_tensors(args.model / "model.safetensors")
    tokens = np.fromfile(args.data / "stdlib.bin", dtype="<u2").astype(np.int64)
    count = min(args.windows, len(tokens) // (args.seq_len + 1))
    ids = torch.from_numpy(tokens[: count * (args.seq_len + 1)].reshape(count, -1)).to(args.device)

    base = sequence_losses(build(config, healthy, args.device), ids)
    results = {"healthy": {"loss_nats": float(base.mean())}}
    for defect in DEFECTS:
        broken = sequence_losses(build(config, defect.apply(healthy), args.device), ids)
        cost = broken - base
        results[defect.name] = {
            "loss_nats": float(broken.mean()),
            "cost_nats": float(cost.mean()),
            "stderr_nats": float(cost.std(ddof=1) / np.sqrt(count)),
        }
    text = json.dumps({"windows": count, "seq_len": args.seq_len, "chance_nats": np.log(config.vocab_size), **results})
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    weak = [d.name for d in DEFECTS if results[d.name]["cost_nats"] < LEAST_COST]
    if weak:
        raise SystemExit(f"less than {LEAST_COST} nats: {', '.join(weak)}")


if __name__ == "__main__":
    main()
