"""Which of a registry's tags `collect` takes."""
