"""The packed data set, and what a network sees of it: nothing here knows networks."""
