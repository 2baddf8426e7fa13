"""The command before its imports: Ctrl-C meanwhile ends it without a word."""

import signal


def main() -> None:
    """See `harness.cli.main`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from harness import cli

    cli.main()


if __name__ == "__main__":
    main()
