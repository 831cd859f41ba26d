"""The screens: pictures, pages and who may ask; and in a real browser."""
