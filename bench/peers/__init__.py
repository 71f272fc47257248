"""Others that run a model's code in a container, side by side with ours: the same jobs, one engine, one run."""
