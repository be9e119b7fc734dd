"""Where sources come from. One provider, one file."""
