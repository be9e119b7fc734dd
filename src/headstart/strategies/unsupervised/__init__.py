"""What is found in features without labels: fewer dimensions, clusters, examples that stand apart."""
