"""A checkpoint written anew with a repair applied, and the patch file that does it again on another copy."""
