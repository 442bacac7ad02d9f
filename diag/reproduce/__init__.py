"""Defects of a runtime, injected into a healthy model: which of them, alone or in pairs, give a claimed loss."""
