"""Cells, where their numbers come from, and what a title says."""
