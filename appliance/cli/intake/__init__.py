"""`lockgate intake` and `lockgate receipt`."""
