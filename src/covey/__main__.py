"""Run the command line: ``python -m covey``."""

from covey.cli import main

if __name__ == "__main__":
    main()
