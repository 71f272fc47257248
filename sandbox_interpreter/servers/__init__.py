"""The HTTP server: each client has a session with a sandbox of its own. It needs the extra ``serve``."""
