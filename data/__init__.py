"""The built-in demo: a real corpus, a small trained checkpoint, and copies of it with planted defects.

Nothing here imports torch: the dashboard builds the demo in its own process. Start with `data.demo.build_demo`.
"""
