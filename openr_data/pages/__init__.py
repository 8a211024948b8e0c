"""One self-contained HTML page: its template, styles and scripts, and how data is put into it. Knows no runs and no records."""
