"""`python -m diag …`"""

from diag.cli.app import main

if __name__ == "__main__":
    main()
