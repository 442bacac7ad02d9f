"""The weights page: what does the file really hold?"""
