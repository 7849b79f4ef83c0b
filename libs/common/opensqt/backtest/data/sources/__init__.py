"""Files of market data as tables of whole numbers: what is read, checked and said of them.

`opened` gets at the bytes, `forms` knows the columns of each table, `text_tables` and `streams`
read, `checks` looks at what was read, and `problems` decides whether something wrong is an error or
a counted note. Nothing here knows an instrument; that begins in `reading`.
"""
