"""A delivered model as files that need no headstart: a graph, how examples are prepared for it, and a model card."""
