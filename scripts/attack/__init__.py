"""Hostile inputs, and what a running service does beside them: `make attack`, and the tests.

target        the service under attack, on a loopback address, with a key of each role
attacker      sends one input over many connections, counts bytes and answers
observation   an ordinary client and a health check in another process; memory and processor time of the service
inputs        what an input is
connections, heads, bodies, forms, zips, pictures, streams
              the inputs by kind, made by code with their sizes as parameters
battery       all inputs, the bounds, and the run
"""
