"""A team's own image from a file that says what is in it: read, checked, built on a bundled image, and verified.

Who builds from such a file may have cloned it and not read it. So nothing of it reaches a shell, no path leads out of
its folder, no package runs a program of its own while it is installed, and no limit is widened.
"""
