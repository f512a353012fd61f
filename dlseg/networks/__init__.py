"""The paper's networks (sections 3.1, 3.2, 4.2, 5)."""
