"""Gates, lamps and inputs on relay boards."""
