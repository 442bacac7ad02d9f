"""`python -m diag …`"""

import sys

if __name__ == "__main__":
    try:
        from diag.cli import interrupt

        interrupt.install()  # before anything slow is imported
        from diag.cli.main import main

        main()
    except KeyboardInterrupt:  # while modules were still being imported
        print("Interrupted; nothing was recorded.", file=sys.stderr)
        sys.exit(130)
