"""The tables of the five papers."""
