"""Demo data: everything made through the real path, services and sandbox, so that the books balance."""
