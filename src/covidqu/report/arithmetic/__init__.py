"""What follows from printed numbers alone."""
