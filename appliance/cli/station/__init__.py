"""`lockgate init`, `serve`, `console`, `status`, `job` and `audit`."""
