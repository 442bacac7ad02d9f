"""Defects planted in healthy trained models, and how often the tool is right about them: `python -m diag.zoo`."""
