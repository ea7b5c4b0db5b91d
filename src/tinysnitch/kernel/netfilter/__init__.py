"""netfilter"""
