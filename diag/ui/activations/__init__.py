"""The activations page: where does the signal break?"""
