"""What a run is held against."""
