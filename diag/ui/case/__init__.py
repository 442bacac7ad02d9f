"""The case page: is it worse than chance?"""
