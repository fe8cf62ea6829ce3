"""`python -m segshift.cli`, for launchers that start modules (accelerate, torchrun)."""

from segshift.cli import main

if __name__ == "__main__":
    main()
