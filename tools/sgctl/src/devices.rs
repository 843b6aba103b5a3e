// SPDX-License-Identifier: GPL-2.0
//! Names of the network devices that sockets are bound to.

use rustix::net::netdevice::index_to_name;
use rustix::net::{socket, AddressFamily, SocketType};

/// The name of the device with this index, in this network namespace; its number if it is gone, as
/// sockets stay bound to it.
pub fn name(index: u32) -> String {
    let asked = socket(AddressFamily::UNIX, SocketType::DGRAM, None);
    let name = asked.and_then(|socket| index_to_name(socket, index));
    name.unwrap_or_else(|_| format!("device {index}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names_or_numbers() {
        assert_eq!(name(1), "lo");
        assert_eq!(name(0x7fff_fff0), "device 2147483632");
    }
}
