"""How results are shown.

`html` draws the page, `text` words terminal and Markdown output, `exports` writes other tools' files. Draws
and words what the rooms below decided.
"""

__all__ = ["cards", "exports", "facts", "html", "text"]
