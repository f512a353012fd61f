"""Where a submission's code runs: a warm template forks one limited, isolated worker per exercise."""
