"""``python -m zarrmill`` is the command line."""

from zarrmill.cli import main

if __name__ == "__main__":
    main()
