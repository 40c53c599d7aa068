"""Child processes: started in one place, isolated from the caller's folder and environment."""
