"""The program that runs inside the container. It imports only itself and the standard library."""
