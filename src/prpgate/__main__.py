"""`python -m prpgate`: the same as the command `prp`."""

from .cli.main import run

if __name__ == "__main__":
    raise SystemExit(run())
