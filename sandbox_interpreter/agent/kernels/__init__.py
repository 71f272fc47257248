"""The kernel files: each keeps the state of one language, and is sent into the container when it is first needed."""
