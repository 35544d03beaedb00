"""Studies: search compositions and settings, told by validation data, and compare what was found on test data."""
