"""Jobs: their kinds, the queue, the process of each, how they end."""
