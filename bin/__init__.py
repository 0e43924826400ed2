"""The project's commands, and what they and the tests share."""
