"""What counts as a line of code."""

from benchmarks.code_lines import count_code_lines, long_functions

SOURCE = '''"""Module.

More.
"""

import os  # counts


# comment
class A:
    """Docstring."""

    text = """two
lines"""

    def f(self):
        """Docstring
        of two lines."""
        return (
            # comment
            os
        )
'''


def test_comments_docstrings_and_blank_lines_are_no_code() -> None:
    assert count_code_lines(SOURCE) == 1 + 1 + 2 + 1 + 3
    assert count_code_lines("x = 1; y = 2\n\n") == 1
    assert count_code_lines('"""only a docstring"""\n') == 0


def test_a_command_is_measured_without_its_signature() -> None:
    body = "    pass\n" * 60
    signature = "def f(\n    a: int{annotation},\n) -> None:\n"
    assert list(long_functions(signature.format(annotation="") + body)) == [("f", 63)]
    assert list(long_functions(signature.format(annotation=" = typer.Option(1)") + '    """Help."""\n' + body)) == []
    assert list(long_functions(signature.format(annotation=" = typer.Option(1)") + body + "    pass\n")) == [("f", 61)]
