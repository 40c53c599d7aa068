"""Actions: one registry feeds keys, palette, footer and help."""
