"""The report site: pages that show the built tables, figures and cards; nothing is measured here."""
