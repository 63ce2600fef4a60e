//! The netlink conversations PID 1 has: changes of network interfaces, and "tell me of new devices".

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

/// Message types and flags of linux/netlink.h and linux/rtnetlink.h.
const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
/// `IFF_UP` of linux/if.h.
const IFF_UP: u32 = 1;
/// The loopback interface is the first one of every network namespace.
const LO_INDEX: i32 = 1;
/// Bytes of `struct nlmsghdr`, and of `struct ifinfomsg` too.
const HEADER: usize = 16;
/// Attributes begin at multiples of this many bytes.
const ALIGNMENT: usize = 4;

/// A request that changes an interface.
pub const REQUEST_LINK: u16 = NLM_F_REQUEST | NLM_F_ACK;
/// A request that makes one and fails if there is one of the name.
pub const REQUEST_CREATE: u16 = REQUEST_LINK | NLM_F_CREATE | NLM_F_EXCL;

/// An `RTM_NEWLINK` request under construction.
#[derive(Debug)]
pub struct Message(Vec<u8>);

impl Message {
    /// A request about the interface with this index; 0 when an attribute names it. Of its flags
    /// those that are set here are set.
    pub fn of_link(kind: u16, index: i32, flags: u32) -> Self {
        let mut message = Self(Vec::new());
        message.0.extend_from_slice(&[0; 4]); // length, known at the end
        message.0.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
        message.0.extend_from_slice(&kind.to_ne_bytes());
        message.0.extend_from_slice(&1_u32.to_ne_bytes()); // sequence number
        message.0.extend_from_slice(&0_u32.to_ne_bytes()); // port of the kernel
        message.link_header(index, flags);
        message
    }

    /// `struct ifinfomsg`.
    pub fn link_header(&mut self, index: i32, flags: u32) {
        self.0.extend_from_slice(&[0, 0]); // family, padding
        self.0.extend_from_slice(&0_u16.to_ne_bytes()); // device type: any
        self.0.extend_from_slice(&index.to_ne_bytes());
        self.0.extend_from_slice(&flags.to_ne_bytes());
        self.0.extend_from_slice(&flags.to_ne_bytes()); // which flags to change
    }

    /// Adds an attribute that is a text with a NUL at its end.
    pub fn text(&mut self, kind: u16, text: &str) {
        self.nested(kind, |content| {
            content.0.extend_from_slice(text.as_bytes());
            content.0.push(0);
        });
    }

    /// Adds an attribute that is a number.
    pub fn number(&mut self, kind: u16, number: u32) {
        self.nested(kind, |content| {
            content.0.extend_from_slice(&number.to_ne_bytes())
        });
    }

    /// Adds an attribute whose content is what `fill` adds.
    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]); // length, known at the end
        self.0.extend_from_slice(&kind.to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
    }

    /// The whole request.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }

    /// Sends it and waits for the kernel's answer.
    pub fn ask(self) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let socket = socket_with(family, SocketType::RAW, flags, None)?;
        sendto(&socket, &self.into_bytes(), SendFlags::empty(), &kernel)?;
        let mut answer = [0_u8; 512];
        let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
        acknowledged(&answer[..length])
    }
}

/// Sets the loopback interface up.
pub fn loopback_up() -> io::Result<()> {
    Message::of_link(REQUEST_LINK, LO_INDEX, IFF_UP).ask()
}

/// Reads the kernel's acknowledgement: an error message with the number 0.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer
        .get(4..6)
        .and_then(|b| b.try_into().ok())
        .map(u16::from_ne_bytes);
    let number = answer
        .get(HEADER..HEADER + 4)
        .and_then(|b| b.try_into().ok())
        .map(i32::from_ne_bytes);
    match (kind, number) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(number)) => Err(io::Error::from_raw_os_error(-number)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the kernel's answer is no acknowledgement",
        )),
    }
}

/// Opens the socket on which the kernel announces devices. Reads do not block.
pub fn device_events() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags,
        Some(KOBJECT_UEVENT),
    )?;
    bind(&socket, &SocketAddrNetlink::new(0, 1))?;
    // A burst of devices must not overflow it; 2 MiB hold thousands of events.
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 2 << 20)?;
    Ok(socket)
}

/// The `MODALIAS` of an event by which a device was added, or `None`.
pub fn added_modalias(event: &[u8]) -> Option<String> {
    let mut fields = event.split(|&byte| byte == 0);
    if !fields.next()?.starts_with(b"add@") {
        return None;
    }
    fields
        .find_map(|field| field.strip_prefix(b"MODALIAS="))
        .and_then(|alias| String::from_utf8(alias.to_vec()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_its_own_length() {
        let request = Message::of_link(REQUEST_LINK, LO_INDEX, IFF_UP).into_bytes();
        assert_eq!(request.len(), 32);
        assert_eq!(request[..4], 32_u32.to_ne_bytes());
    }

    #[test]
    fn an_acknowledgement_with_a_number_is_that_error() {
        let mut answer = vec![0_u8; 36];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert!(acknowledged(&answer).is_ok());
        answer[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(acknowledged(&answer).unwrap_err().raw_os_error(), Some(1));
    }

    #[test]
    fn only_added_devices_have_a_module_to_load() {
        let add = b"add@/devices/usb1\0ACTION=add\0MODALIAS=usb:v0781\0SEQNUM=1\0";
        assert_eq!(added_modalias(add).as_deref(), Some("usb:v0781"));
        assert_eq!(
            added_modalias(b"remove@/devices/usb1\0MODALIAS=usb:v0781\0"),
            None
        );
        assert_eq!(added_modalias(b"add@/devices/tty\0ACTION=add\0"), None);
    }
}
