"""nfqueue"""
