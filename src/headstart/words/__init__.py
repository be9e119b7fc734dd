"""Word vectors: tables of them, what they say, and how a corpus extends and tunes them."""
