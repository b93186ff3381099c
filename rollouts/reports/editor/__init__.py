"""The editor of a flag's rules: plain forms that need no script."""
