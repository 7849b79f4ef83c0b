"""The state store on PostgreSQL.

`state_store` is the store; `statements` has its SQL, `writing` and `reading` use it, `rows` turns
rows into values and back. `book_cache` saves it reading, `listener` hears of the commits of other
replicas, `pool` keeps its connections and `migrate` its tables. `gate_store` keeps the risk gate.
"""
