"""The course: student notebooks built from solved sources."""
