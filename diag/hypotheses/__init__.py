"""The hypotheses, one file each, and the rules that turn their losses into verdicts.

Nothing is imported here: `registry` is plain data that pages read, `suite` runs it in the worker.
"""
