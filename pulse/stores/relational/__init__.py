"""The relational side on SQLAlchemy Core: SQLite by default, PostgreSQL for more.

`database` opens and migrates; every other module is a repository, functions whose first argument is a
`Connection` of `Database.read()` or `Database.write()`. One contract suite holds both back ends.
Nothing outside of this package writes SQL. Times are microseconds since 1970 UTC, `FOREVER` is stored
as NULL, JSON as canonical text.
"""
