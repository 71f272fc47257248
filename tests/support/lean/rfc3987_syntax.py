"""Stands before a package that Ray's imports find where the tests' own dependencies have brought it.

Its import takes seconds, of each of the dozen processes of a cluster, for addresses in schemas that nobody looks at.
"""

raise ImportError("left out for Ray's processes")
