"""What commands share: the station's folder, following a job, completion."""
