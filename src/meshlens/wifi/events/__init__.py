"""What happens on Wi-Fi: stations that come, go and roam, links that get bad, channels that change."""
