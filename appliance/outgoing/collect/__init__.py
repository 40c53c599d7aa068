"""The `collect` job and where it takes artifacts from."""
