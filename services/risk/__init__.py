"""The risk service: holds the gate without whose beat nothing adds exposure.

`keeper` is the gate in memory and its way into the store, `app` the service around it: beats,
what is heard on the bus, orderly start.
"""
