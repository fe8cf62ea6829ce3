"""`segshift report`: what runs did, measured once and shown as one HTML file that needs nothing beside it."""
