"""What people decide, and what is checked before they sign: one way for the console and its plain form."""
