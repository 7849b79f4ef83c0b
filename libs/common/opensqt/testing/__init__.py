"""What tests of OpenSQT stand on: fakes of every port, real servers, and contract suites.

Shipped with the library, so that a strategy or an adapter written elsewhere can be tested alike.
Nothing outside of tests imports it.
"""
