"""`lockgate user`, `role` and `token`."""
