"""The grader: a submission's functions run in a child that knows no answers; the parent keeps the score."""
