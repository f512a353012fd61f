"""The CRF studio in three files: `engine` computes, `view` draws, `controls` are what a user moves."""
