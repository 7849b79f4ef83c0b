"""The wire: the only code that knows both protobuf and the core.

Each noun of the core has an `encode_…` that cannot fail, and a `decode_…` that trusts nothing: what
is missing, malformed or unspecified is a `Refusal` that names the field by its path. Beyond here
there are no protobuf messages, no texts for numbers and no numbers for enums.
"""
