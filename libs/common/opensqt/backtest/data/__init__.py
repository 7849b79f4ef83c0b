"""From files to tapes: a market read, put into units and order, checked; downloaded, written."""
