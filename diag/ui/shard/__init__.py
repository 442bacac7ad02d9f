"""The shard page: is the data real?"""
