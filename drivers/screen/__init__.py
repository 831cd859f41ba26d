"""A kiosk's screens: pages out, presses in."""
