"""What a person sees: rendering, prompts, pictures."""
