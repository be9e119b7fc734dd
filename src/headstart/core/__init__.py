"""The vocabulary: problems, plans, records, protocols. Nothing in here loads a framework."""
