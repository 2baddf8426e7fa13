"""A run, from the registry to the tracking store."""
