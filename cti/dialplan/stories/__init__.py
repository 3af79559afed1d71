"""Stories of the dialplan: given, when, then in YAML, played by test phones on a throwaway Asterisk."""
