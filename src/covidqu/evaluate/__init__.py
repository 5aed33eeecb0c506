"""From logits to numbers: counts per image, the protocols computed from them, and their uncertainty."""
