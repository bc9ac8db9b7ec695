"""The version, in one place."""

__version__ = "0.1.0.dev0"
version_info: tuple[int, int, int, str] = (0, 1, 0, "dev")
