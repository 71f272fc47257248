"""One program for each system, run by the system's own Python: it knows that system's API and nothing of the others."""
