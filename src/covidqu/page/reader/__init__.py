"""The page that reads X-rays in a browser: a bundle in, a folder out that needs neither server nor network."""

from pathlib import Path

MARK = Path("reader.css")  # each such folder has it
