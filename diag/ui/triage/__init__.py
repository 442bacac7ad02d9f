"""The triage page: which checkpoints are broken, and what next?"""
