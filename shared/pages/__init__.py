"""One look for the report, the review page and the console: style sheet, templates, charts and words. It knows no service."""
