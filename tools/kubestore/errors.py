"""Errors that a person reads: what is wrong and where, and how to mend it."""


class KubestoreError(Exception):
    """A failure to report as one `error:` line and one `hint:` line; the exit code is 1."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def lines(self) -> str:
        """The text for standard error."""
        return f"error: {self.what}" + (f"\nhint:  {self.hint}" if self.hint else "")
