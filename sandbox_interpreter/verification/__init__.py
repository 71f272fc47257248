"""What an image is held against before anybody's code runs in it.

archive: the image as its engine exports it. secrets: what looks like one. files, record, behaviour: the checks, of the
files, of what the image's record says, and of a running sandbox. probe: its packages and runtimes, and runtimes: which
of those are known to be bad. sbom: its packages as a CycloneDX document. verify: all checks in their order.
"""
