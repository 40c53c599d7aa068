"""`lockgate key`, `lockgate trust` and `lockgate tls`."""
