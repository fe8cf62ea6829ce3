"""Training: one step, the loop around it, recipes, checkpoints."""
