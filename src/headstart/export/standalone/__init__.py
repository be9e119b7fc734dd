"""Predictors that are copied beside an exported graph, one for each kind of data: they import nothing of headstart."""
