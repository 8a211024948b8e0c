"""Process reward models of others: recognised by their files, or asked as a named style."""

from openr_data.prm.third_party.recognise import recognise
from openr_data.prm.third_party.styles import KNOWN, STYLES, Style

__all__ = ["KNOWN", "STYLES", "Style", "recognise"]
