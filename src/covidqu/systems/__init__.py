"""The networks. A system knows its layers, nothing of training."""
