"""`lockgate bundle`, a module a command."""
