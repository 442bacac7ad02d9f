"""The built-in demo: a real corpus, a small trained checkpoint, and copies of it with planted defects. No torch."""
