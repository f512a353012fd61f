"""The common room: what every floor uses and none owns; it imports nothing else of dlseg."""
