from meshlens.probes.stations.neighbours import link_local_of


def test_a_link_local_address_is_made_of_a_mac_as_rfc_4291_does() -> None:
    assert link_local_of("34:56:78:9a:bc:de") == "fe80::3656:78ff:fe9a:bcde"
