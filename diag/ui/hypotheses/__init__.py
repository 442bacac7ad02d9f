"""The hypotheses page: which defect explains it?"""
