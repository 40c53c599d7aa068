"""A stand-by inside: states of the primary go through a folder that both reach, are checked as a whole, and one of them
is what a promoted station goes on from (docs/adr/0078-stand-by.md)."""
