"""What a training is made of: the loop, losses, the optimiser, devices and seeds, its state and its card."""
