"""The course's exercises: one file per notebook, each with a list EXERCISES that the grader reads."""
