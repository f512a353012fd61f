"""Explorers: thin shells over `dlseg.figures`."""
