"""What the console asks of a station, and how."""
