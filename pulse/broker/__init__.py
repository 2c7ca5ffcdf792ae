"""What a Mosquitto reads: password and access files, made from the database. No MQTT here.

The database knows who may speak; the files follow it and can be written again at any time.
"""
