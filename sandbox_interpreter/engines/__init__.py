"""Container engines: small protocols, and the adapters that speak to real ones."""
