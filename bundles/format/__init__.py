"""The bytes on a medium: manifest, SHA256SUMS, volumes' frames, README.txt."""
