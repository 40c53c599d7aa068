"""The application and who sits at it."""
