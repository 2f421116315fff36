"""`python -m pcsr_zoo` runs the command `pcsr`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="pcsr")
