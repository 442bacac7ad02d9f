"""Subrandom: find out why a checkpoint that loads without an error predicts worse than chance."""

__version__ = "0.1.0"
