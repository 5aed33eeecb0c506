"""`python -m covidqu`."""

import sys

from covidqu.cli import main

sys.exit(main())
