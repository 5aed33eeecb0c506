"""Reproducible COVID-QU-Ex pipeline: from the archive to the tables and figures of five papers."""
