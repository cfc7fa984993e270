"""stub"""


def vendor_of(mac: str) -> str:
    return ""
