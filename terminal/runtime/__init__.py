"""What waits for the world: lanes, journal, uploader, parameters, supervision."""
