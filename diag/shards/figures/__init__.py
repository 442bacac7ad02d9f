"""Figures of a table of counts: entropies, the bigram, drift, bytes."""
