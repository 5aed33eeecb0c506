"""What `params.yaml` may say, one module per room, so that a step depends only on the part it reads."""
