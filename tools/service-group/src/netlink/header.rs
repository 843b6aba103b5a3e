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
