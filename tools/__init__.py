"""What keeps the repository in order: pages, checks, fuzzing. No part of the package."""
