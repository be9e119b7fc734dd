"""A map of data in the feature space of a source, with or without labels."""
