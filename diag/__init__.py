"""Subrandom: find out why a checkpoint that loads without an error predicts worse than chance."""

import os

__version__ = "0.1.0"

# OpenMP's threads spin while they wait, unless told otherwise before torch is loaded. On a machine that does something
# else too, spinning starves the thread that has the work: two tests at once on two cores took 163 s each with it and
# 22 s without (benchmarks/README.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
