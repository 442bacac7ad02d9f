"""The evidence page: what do we already know?"""
