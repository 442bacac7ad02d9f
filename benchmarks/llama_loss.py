"""The mean cross-entropy of rows of ids by llama.cpp, in nats: a process of its own, for it is another installation.

Reads {"checkpoint", "ids": [[…], …]} on standard input and prints one number. Exit code 3 without llama-cpp-python.
"""

import json
import sys

import numpy as np

try:
    from llama_cpp import Llama
except ImportError:
    sys.exit(3)


def loss(checkpoint: str, rows: list[list[int]]) -> float:
    """Each row is read from an empty context; its first id is predicted from nothing and does not count."""
    length = len(rows[0]) - 1
    model = Llama(checkpoint, n_ctx=length, n_batch=length, n_ubatch=length, logits_all=True, verbose=False)
    found = []
    for row in rows:
        model.reset()
        model.eval(row[:-1])
        logits = np.asarray(model.scores[:length], np.float64)
        top = logits.max(axis=1)
        total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        found.append(total - logits[np.arange(length), row[1:]])
    return float(np.mean(found))


if __name__ == "__main__":
    task = json.load(sys.stdin)
    print(loss(task["checkpoint"], task["ids"]))
