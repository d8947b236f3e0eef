"""CSV import. `files` reads, `rows` maps and parses, `runs` checks and applies an upload step by step,
`stream` imports a whole file at once, `bulk` inserts fast. Nouns plug in with a `rows.Importer`.
"""
