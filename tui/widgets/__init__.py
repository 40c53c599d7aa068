"""Widgets shared by the screens: rows and tables, trees, checklists, bars, the edge rows."""
