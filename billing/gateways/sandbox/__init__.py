"""The gateway that moves no money: built in, needs no account, and refuses live mode."""
