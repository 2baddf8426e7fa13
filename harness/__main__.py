"""The command before its imports: Ctrl-C meanwhile ends it without a word."""

import signal


def main() -> None:
    """See `harness.cli.main`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from harness import cli
    from harness.core.signals import SIGNALS, leave

    try:
        cli.main()
    except SystemExit as end:
        if end.code in [128 + signum for signum in SIGNALS]:
            leave(end.code)
        raise


if __name__ == "__main__":
    main()
