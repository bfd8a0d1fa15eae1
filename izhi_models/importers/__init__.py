"""Networks of other simulators, read into NeuroML documents: what a file would have said.

Each importer makes elements, as the reader of files does, so that everything after reading is the
same for both.
"""
