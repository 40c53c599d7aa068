"""The audit log: recorded acts, lanes, checkpoints, reading, export."""
