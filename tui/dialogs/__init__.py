"""Questions over a screen: a text, a choice, a yes, the palette, the jump."""
