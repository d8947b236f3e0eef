"""The API of what customers owe and pay: one file for each noun, and the whole customer."""
