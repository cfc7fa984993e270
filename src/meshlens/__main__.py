"""`python -m meshlens` is the `meshlens` command."""

from meshlens.cli.main import main

if __name__ == "__main__":
    main()
