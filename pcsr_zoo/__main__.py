"""`python -m pcsr_zoo` is `pcsr`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="pcsr")
