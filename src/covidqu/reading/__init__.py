"""Readings of one's own X-rays with a trained network, and when not to trust them: nothing here needs PyTorch."""
