"""Links of the pages that lead out of docs/ are for readers of the source; in the site their text remains."""
import re


def on_page_markdown(markdown, **kwargs):
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)
