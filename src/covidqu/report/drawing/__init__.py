"""Figures: layouts and panels."""
