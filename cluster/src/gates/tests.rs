use std::collections::BTreeSet;

use super::*;

fn of(name: &str, minor: u64) -> Gate {
    gate(name, &Version::new(1, minor, 0))
}

#[test]
fn a_gate_is_known_until_the_minor_that_removed_it() {
    for (name, since) in [
        ("RuntimeClass", 24),
        ("TTLAfterFinished", 25),
        ("ExpandCSIVolumes", 27),
        ("CSIStorageCapacity", 28),
        ("SeccompDefault", 29),
        ("MemoryManager", 36),
    ] {
        assert_eq!(of(name, since - 1), Gate::Known, "{name}");
        assert_eq!(of(name, since), Gate::Gone(since), "{name}");
        assert_eq!(of(name, 40), Gate::Gone(since), "{name}");
    }
}

#[test]
fn a_gate_is_known_from_the_minor_that_brought_it() {
    for (name, since) in [
        ("KubeletTracing", 25),
        ("NFTablesProxyMode", 29),
        // Its behaviour is older than the gate that takes it away.
        ("GitRepoVolumeDriver", 33),
        ("GangScheduling", 35),
    ] {
        assert_eq!(of(name, since - 1), Gate::NotYet(since), "{name}");
        assert_eq!(of(name, since), Gate::Known, "{name}");
    }
    assert_eq!(of("GangScheduling", 37), Gate::Gone(37));
    for minor in 24..=40 {
        assert_eq!(of("RotateKubeletServerCertificate", minor), Gate::Known);
        assert_eq!(of("AllBeta", minor), Gate::Known);
        assert_eq!(of("WatchListClient", minor), Gate::Known);
        assert_eq!(of("RotateKubeletServerCertificates", minor), Gate::Unheard);
    }
}

#[test]
fn the_lists_are_in_order_and_name_each_gate_once() {
    for list in [REMOVED, KNOWN] {
        assert!(list.is_sorted_by_key(|(since, _)| *since));
        let mut seen = BTreeSet::new();
        for (_, gates) in list {
            assert!(gates.split(' ').is_sorted());
            for gate in gates.split(' ') {
                assert!(!gate.is_empty() && seen.insert(gate), "{gate}");
            }
        }
    }
}

/// What the newest minor knows it has not removed, and the other way round.
#[test]
fn no_gate_is_gone_before_it_came() {
    for (gone, gates) in REMOVED {
        for gate in gates.split(' ') {
            let known = KNOWN
                .iter()
                .find(|(_, known)| known.split(' ').any(|one| one == gate));
            if let Some((came, _)) = known {
                assert!(*gone > NEWEST && came < gone, "{gate}");
            }
        }
    }
}
