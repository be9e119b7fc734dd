"""Nearest neighbours in a source's features: an example of a plug-in for headstart."""
