"""Ids counted: one look at each, small summaries that add up."""
