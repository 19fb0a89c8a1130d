"""A page in the browser for someone who only wants pictures larger: the command `srkit app`."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_commands() -> dict[str, str]:
    """Return the command that serves the page."""
    return {"app": "srkit_app.command:app"}
