"""nl80211: what the kernel's own interface for Wi-Fi tells of interfaces, stations and channels, and when."""
