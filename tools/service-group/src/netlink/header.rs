// SPDX-License-Identifier: GPL-2.0
//! What tests read in `linux/service_group_netlink.h`.

/// The number that an enum of the header gives to this name, which is told
/// without `SERVICE_GROUP_`.
pub(super) fn of_header(name: &str) -> Option<u16> {
    let header = include_str!("../../../../include/uapi/linux/service_group_netlink.h");
    let mut next = 0;
    for line in header.lines().map(str::trim) {
        if line.starts_with("enum ") {
            next = 0;
        }
        let Some(entry) = line.strip_suffix(',') else {
            continue;
        };
        let (entry, number) = entry.split_once(" = ").unwrap_or((entry, ""));
        next = number.parse().unwrap_or(next);
        if entry.replace("SERVICE_GROUP_", "") == name {
            return Some(next);
        }
        next += 1;
    }
    None
}

/// The constant of the header with this name, which is told without `SERVICE_GROUP_`.
pub(super) fn constant(name: &str) -> Option<usize> {
    let header = include_str!("../../../../include/uapi/linux/service_group_netlink.h");
    let begin = format!("#define SERVICE_GROUP_{name}\t");
    let value = header.lines().find_map(|line| line.strip_prefix(&begin))?;
    value.trim().parse().ok()
}

/// Compares an enum with that of the header: its entries begin with `kind`, and
/// there are no more.
pub(super) fn check(kind: &str, names: impl ExactSizeIterator<Item = &'static str>) {
    let header = include_str!("../../../../include/uapi/linux/service_group_netlink.h");
    let prefix = format!("SERVICE_GROUP_{kind}_");
    let lines = header.lines().map(str::trim);
    assert_eq!(
        lines.filter(|line| line.starts_with(&prefix)).count(),
        names.len()
    );
    for (place, name) in (0..).zip(names) {
        let name = format!("{kind}_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(of_header(&name), Some(place), "{name}");
    }
}
