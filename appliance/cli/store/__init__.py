"""`lockgate repo`, `collect`, `gc`, `scrub`, `restore`, `rebuild`, `block` and `media`."""
