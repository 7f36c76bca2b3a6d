"""``python -m leandask``: the command ``leandask``."""

from leandask.cli.main import main

if __name__ == "__main__":
    main()
