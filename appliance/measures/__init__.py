"""What a station counts of itself: closed families of series, and the cells that its processes count in."""
