"""The walk: the machine in every order of everything that can happen to a saga."""
