"""Whole journeys in the words of the people who make them; one file a place."""
