//! Network interfaces of a container, as its runtime.json asks for them: made in its network
//! namespace, or moved into it. The rules are LinuxKit's.

use std::io;

use anyhow::{Context as _, bail};

use crate::bundle::Interface;
use crate::netlink::{Message, REQUEST_CREATE, REQUEST_LINK};

/// Attributes of linux/if_link.h and linux/veth.h.
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// Names are shorter than `IFNAMSIZ` of linux/if.h.
const LONGEST_NAME: usize = 15;

/// What the kernel is asked for, in this order.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    /// Make an interface, in the namespace of a process or here.
    Add {
        name: &'a str,
        kind: &'a str,
        peer: Option<&'a str>,
        in_namespace_of: Option<u32>,
    },
    /// Move an interface from here to the namespace of a process.
    Move { name: &'a str, to: u32 },
}

/// Gives the container whose first process is `pid` its interfaces. It is created and not started.
pub fn give(interfaces: &[Interface], pid: u32) -> anyhow::Result<()> {
    for interface in interfaces {
        for step in steps(interface, pid)? {
            carry_out(&step).with_context(|| describe(&step))?;
        }
    }
    Ok(())
}

fn steps(interface: &Interface, pid: u32) -> anyhow::Result<Vec<Step<'_>>> {
    let name = interface.name.as_str();
    let peer = Some(interface.peer.as_str()).filter(|peer| !peer.is_empty());
    for name in [Some(name), peer].into_iter().flatten() {
        if name.is_empty() || name.len() > LONGEST_NAME {
            bail!(
                "runtime.interfaces: `{name}` is no name of an interface (1 to {LONGEST_NAME} bytes)"
            );
        }
    }
    // A peer without a type can only be that of a pair.
    let kind = match (interface.add.as_str(), peer) {
        ("", None) => return Ok(vec![Step::Move { name, to: pid }]),
        ("", Some(_)) => "veth",
        (kind, _) => kind,
    };
    if kind == "veth" && peer.is_none() {
        bail!(
            "runtime.interfaces: the veth pair of `{name}` needs the name of its other end (`peer`)"
        );
    }
    // The other end of a pair stays here, so the pair is made here.
    let here = interface.create_in_root || kind == "veth";
    let mut steps = vec![Step::Add {
        name,
        kind,
        peer: peer.filter(|_| kind == "veth"),
        in_namespace_of: (!here).then_some(pid),
    }];
    if here {
        steps.push(Step::Move { name, to: pid });
    }
    Ok(steps)
}

fn describe(step: &Step<'_>) -> String {
    match step {
        Step::Add { name, kind, .. } => {
            format!("making the interface {name} of type {kind} (runtime.interfaces)")
        }
        Step::Move { name, .. } => {
            format!("moving the interface {name} into the container (runtime.interfaces)")
        }
    }
}

fn carry_out(step: &Step<'_>) -> io::Result<()> {
    message(step).ask()
}

fn message(step: &Step<'_>) -> Message {
    match step {
        Step::Move { name, to } => {
            let mut message = Message::of_link(REQUEST_LINK, 0, 0);
            message.text(IFLA_IFNAME, name);
            message.number(IFLA_NET_NS_PID, *to);
            message
        }
        Step::Add {
            name,
            kind,
            peer,
            in_namespace_of,
        } => {
            let mut message = Message::of_link(REQUEST_CREATE, 0, 0);
            message.text(IFLA_IFNAME, name);
            if let Some(pid) = in_namespace_of {
                message.number(IFLA_NET_NS_PID, *pid);
            }
            message.nested(IFLA_LINKINFO, |info| {
                info.text(IFLA_INFO_KIND, kind);
                if let Some(peer) = peer {
                    info.nested(IFLA_INFO_DATA, |data| {
                        data.nested(VETH_INFO_PEER, |other| {
                            other.link_header(0, 0);
                            other.text(IFLA_IFNAME, peer);
                        });
                    });
                }
            });
            message
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, add: &str, peer: &str, create_in_root: bool) -> Interface {
        Interface {
            name: name.into(),
            add: add.into(),
            peer: peer.into(),
            create_in_root,
        }
    }

    #[test]
    fn an_interface_that_is_there_is_moved() {
        assert_eq!(
            steps(&interface("eth1", "", "", false), 7).unwrap(),
            [Step::Move {
                name: "eth1",
                to: 7
            }]
        );
    }

    #[test]
    fn a_pair_is_made_here_and_one_end_moved() {
        let pair = [
            Step::Add {
                name: "in",
                kind: "veth",
                peer: Some("out"),
                in_namespace_of: None,
            },
            Step::Move { name: "in", to: 7 },
        ];
        assert_eq!(
            steps(&interface("in", "veth", "out", false), 7).unwrap(),
            pair
        );
        assert_eq!(steps(&interface("in", "", "out", false), 7).unwrap(), pair);
    }

    #[test]
    fn other_types_are_made_in_the_container_unless_asked_otherwise() {
        let there = interface("d", "dummy", "", false);
        let add = |in_namespace_of| Step::Add {
            name: "d",
            kind: "dummy",
            peer: None,
            in_namespace_of,
        };
        assert_eq!(steps(&there, 7).unwrap(), [add(Some(7))]);
        let here = interface("d", "dummy", "", true);
        let moved = [add(None), Step::Move { name: "d", to: 7 }];
        assert_eq!(steps(&here, 7).unwrap(), moved);
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_its_name() {
        let nameless = steps(&interface("", "dummy", "", false), 7).unwrap_err();
        assert!(nameless.to_string().contains("no name"), "{nameless}");
        let lonely = steps(&interface("v0", "veth", "", false), 7).unwrap_err();
        assert!(lonely.to_string().contains("v0"), "{lonely}");
        assert!(steps(&interface("a-name-too-long-for-it", "", "", false), 7).is_err());
    }

    #[test]
    fn attributes_are_padded_and_nested() {
        let step = Step::Add {
            name: "in",
            kind: "veth",
            peer: Some("out"),
            in_namespace_of: None,
        };
        let bytes = message(&step).into_bytes();
        // Header 16, link 16, name 4+3 padded to 8, then what the pair is made of:
        // 4 + kind (4+5 padded to 12) + data (4 + peer (4 + link 16 + name 4+4)) = 48.
        assert_eq!(bytes.len(), 16 + 16 + 8 + 48);
        assert_eq!(
            bytes[..4],
            u32::try_from(bytes.len()).unwrap().to_ne_bytes()
        );
        assert_eq!(bytes[40..42], 48_u16.to_ne_bytes());
    }
}
