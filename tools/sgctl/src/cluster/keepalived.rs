// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster keepalived`: a configuration of keepalived for one director.
//!
//! All directors begin as BACKUP, and one that comes back does not take over from
//! the one that directs (`nopreempt`): each change of the director costs a moment.
//! One that does not serve the addresses (`sgctl cluster ready`) cannot direct.

use std::net::IpAddr;

use super::apply::{device, own_name, whole};
use super::file::{store, Address, Config};
use crate::cli::KeepalivedArgs;
use crate::{output, Failure};

/// Priority of the first director, and how much lower each next one is: the earlier
/// a machine is named, the rather it directs.
const PRIORITY: usize = 200;
const LESS: usize = 5;
/// How the script is run: each second, and given more than that, as a machine may be
/// slow. Its word counts when it has been the same for a few times, as the role is
/// told a moment after the address has moved.
const TRACKED: &str = "    interval 1\n    timeout 20\n    fall 5\n    rise 2\n";

/// Addresses of one device, family and list of directors: they move together.
#[derive(Debug)]
struct Instance<'a> {
    /// The first of them.
    first: &'a Address,
    addresses: Vec<IpAddr>,
}

/// Runs the subcommand.
pub fn run(args: &KeepalivedArgs) -> Result<(), Failure> {
    let config = store::config(&args.file, &store::text(&args.file)?)?;
    let own = own_name(&config, args.node.as_deref())?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(format!("the path of sgctl is not known: {error}")))?;
    let program = program.to_string_lossy().into_owned();
    output::text(&text(&config, &own, &program, args.router_id)?)
}

fn text(config: &Config, own: &str, program: &str, router_id: u8) -> Result<String, Failure> {
    let mut text = format!(
        "# keepalived.conf of {own}, made by \"sgctl cluster keepalived\".\n\
         global_defs {{\n    router_id {own}\n    script_user root\n    enable_script_security\n}}\n"
    );
    let mut own_instances = 0;
    // Those of others are numbered, too, so that all directors have the same numbers.
    for (number, instance) in instances(config).iter().enumerate() {
        let names = directors(instance.first);
        let Some(place) = names.iter().position(|name| name == own) else {
            continue;
        };
        let id = u8::try_from(number)
            .ok()
            .and_then(|number| router_id.checked_add(number));
        let id = id.ok_or_else(|| {
            Failure::usage("the numbers of VRRP instances end with 255: give a lower --router-id")
        })?;
        own_instances += 1;
        let device = device(config, instance.first, own);
        let priority = PRIORITY.saturating_sub(place * LESS).max(1);
        text += &instance.text(device, id, priority, program);
    }
    match own_instances {
        0 => Err(Failure::usage(format!(
            "\"{own}\" is not one of several directors that keepalived chooses from: name at least two \
             as directors of an address, without directing = \"one\", or another machine with --node"
        ))),
        _ => Ok(text),
    }
}

impl Instance<'_> {
    fn text(&self, device: &str, id: u8, priority: usize, program: &str) -> String {
        let addresses = self.addresses.iter();
        let virtual_addresses: Vec<String> = addresses
            .map(|address| format!("        {address}/{} dev {device}\n", whole(*address)))
            .collect();
        let virtual_addresses = virtual_addresses.concat();
        let list: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        let list = list.join(" ");
        let notify: String = [
            ("master", "director"),
            ("backup", "standby"),
            ("fault", "standby"),
            ("stop", "standby"),
        ]
        .map(|(event, role)| {
            format!("    notify_{event} \"{program} cluster role {role} {list}\"\n")
        })
        .concat();
        format!(
            "\nvrrp_script serves_{id} {{\n    script \"{program} cluster ready {list}\"\n\
             {TRACKED}}}\n\nvrrp_instance cluster_{id} {{\n    state BACKUP\n    nopreempt\n    \
             interface {device}\n    virtual_router_id {id}\n    priority {priority}\n    \
             advert_int 1\n    virtual_ipaddress {{\n{virtual_addresses}    }}\n    \
             track_script {{\n        serves_{id}\n    }}\n{notify}}}\n"
        )
    }
}

/// All addresses that have several directors, in the order of the file.
fn instances(config: &Config) -> Vec<Instance<'_>> {
    let mut instances: Vec<Instance<'_>> = Vec::new();
    let several =
        |address: &&Address| directors(address).len() > 1 && !address.mode.follows_links();
    for address in config.addresses.iter().filter(several) {
        let ip = address.name.address;
        let key = |of: &Address| (of.device.clone(), of.name.address.is_ipv4());
        let fits = |it: &&mut Instance<'_>| {
            key(it.first) == key(address) && directors(it.first) == directors(address)
        };
        match instances.iter_mut().find(fits) {
            Some(instance) if instance.addresses.contains(&ip) => {}
            Some(instance) => instance.addresses.push(ip),
            None => instances.push(Instance {
                first: address,
                addresses: vec![ip],
            }),
        }
    }
    instances
}

fn directors(address: &Address) -> &[String] {
    address.mode.directors()
}

#[cfg(test)]
mod tests {
    use super::super::file::read;
    use super::*;

    const TEXT: &str = r#"
[[node]]
name = "a"
id = 1
address = "192.0.2.11"
way = "tunnel"
[[node]]
name = "lb"
id = 2
address = "192.0.2.10"
state = "draining"
way = "tunnel"
device = "ens5"
[[address]]
ip = "198.51.100.7"
protocol = "tcp"
port = 80
device = "eth0"
mode = "directed"
directors = ["lb", "a"]
[[address]]
ip = "198.51.100.7"
protocol = "tcp"
port = 443
device = "eth0"
mode = "directed"
directors = ["lb", "a"]
[[address]]
ip = "2001:db8::7"
device = "eth0"
mode = "directed"
directors = ["lb", "a"]
"#;

    const LINKS: &str = "\n[cluster]\nid = \"000102030405060708090a0b0c0d0e0f\"\n\
                         link-security = \"none\"\n";

    fn config() -> Config {
        read(TEXT).expect("it is right")
    }

    #[test]
    fn a_director_has_an_instance_for_each_device_and_family() {
        let text = text(&config(), "a", "/sbin/sgctl", 53).expect("it can be made");
        let expected = "\
vrrp_script serves_53 {
    script \"/sbin/sgctl cluster ready 198.51.100.7\"
    interval 1
    timeout 20
    fall 5
    rise 2
}

vrrp_instance cluster_53 {
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 53
    priority 195
    advert_int 1
    virtual_ipaddress {
        198.51.100.7/32 dev eth0
    }
    track_script {
        serves_53
    }
    notify_master \"/sbin/sgctl cluster role director 198.51.100.7\"
    notify_backup \"/sbin/sgctl cluster role standby 198.51.100.7\"
    notify_fault \"/sbin/sgctl cluster role standby 198.51.100.7\"
    notify_stop \"/sbin/sgctl cluster role standby 198.51.100.7\"
}
";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("2001:db8::7/128 dev eth0"), "{text}");
        assert!(text.contains("cluster ready 2001:db8::7\"\n"), "{text}");
        assert_eq!(text.matches("vrrp_instance").count(), 2);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }

    #[test]
    fn directors_differ_in_device_and_priority_and_agree_in_the_number() {
        let of = |own| text(&config(), own, "/sbin/sgctl", 53).expect("it can be made");
        let (first, second) = (of("lb"), of("a"));
        assert!(first.contains("interface ens5\n") && first.contains("priority 200\n"));
        for line in ["virtual_router_id 53\n", "virtual_router_id 54\n"] {
            assert!(first.contains(line) && second.contains(line), "{line}");
        }
    }

    #[test]
    fn one_director_needs_no_keepalived() {
        let alone = TEXT.replace("[\"lb\", \"a\"]", "[\"lb\"]");
        let config = read(&alone).expect("it is right");
        for own in ["lb", "a"] {
            let failure = text(&config, own, "x", 53).expect_err("it is alone");
            assert!(
                failure.to_string().contains("several directors"),
                "{failure}"
            );
            assert_eq!(failure.status(), 2);
        }
        let chosen = TEXT
            .replace(
                "\n[[node]]\nname = \"a\"",
                &format!("{LINKS}[[node]]\nname = \"a\""),
            )
            .replace("mode =", "directing = \"one\"\nmode =");
        let config = read(&chosen).expect("it is right");
        let failure = text(&config, "a", "x", 53).expect_err("links choose");
        assert!(failure.to_string().contains("directing"), "{failure}");
        assert!(text(&self::config(), "a", "x", 255).is_err());
    }
}
