"""Archives, read as streams within limits: tar, ZIP, 7z, compressed layers."""
