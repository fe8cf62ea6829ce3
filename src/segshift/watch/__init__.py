"""A folder's runs while they train: what state each is in, and a page that shows it."""
