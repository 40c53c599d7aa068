"""Moving a station's metadata from one engine to the other, whole and compared (docs/adr/0086)."""
