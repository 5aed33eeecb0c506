"""One module per source of the archive, named as in `download.source` and imported by that name."""
