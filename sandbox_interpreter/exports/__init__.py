"""Conversations as files for elsewhere: messages as JSON, a Jupyter notebook, Markdown with its pictures."""
