"""Whether and what: how well features serve the target, before anything is trained."""
