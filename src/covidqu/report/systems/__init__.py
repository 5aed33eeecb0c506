"""Tables and figures across systems."""
