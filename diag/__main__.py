"""`python -m diag …`"""

if __name__ == "__main__":
    from diag.cli import interrupt

    try:
        interrupt.install()  # before anything slow is imported
        from diag.cli.main import main

        main()
    except KeyboardInterrupt:  # while modules were still being imported
        interrupt.leave()
