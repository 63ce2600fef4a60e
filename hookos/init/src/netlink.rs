//! The two netlink conversations PID 1 has: "set `lo` up" and "tell me of new devices".

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
/// `IFF_UP` of linux/if.h.
const IFF_UP: u32 = 1;
/// The loopback interface is the first one of every network namespace.
const LO_INDEX: i32 = 1;
/// Bytes of `struct nlmsghdr` and of `struct ifinfomsg`: 16 each.
const HEADER: usize = 16;

/// Sets the loopback interface up.
pub fn loopback_up() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sendto(
        &socket,
        &link_up_request(LO_INDEX),
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut answer = [0_u8; 512];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    acknowledged(&answer[..length])
}

/// The bytes of an `RTM_NEWLINK` request that sets one flag of one interface.
fn link_up_request(index: i32) -> Vec<u8> {
    let mut message = Vec::with_capacity(2 * HEADER);
    message.extend_from_slice(&u32::try_from(2 * HEADER).unwrap_or(0).to_ne_bytes());
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes()); // sequence number
    message.extend_from_slice(&0_u32.to_ne_bytes()); // port of the kernel
    message.extend_from_slice(&[0, 0]); // family, padding
    message.extend_from_slice(&0_u16.to_ne_bytes()); // device type: any
    message.extend_from_slice(&index.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes()); // flags
    message.extend_from_slice(&IFF_UP.to_ne_bytes()); // which flags to change
    message
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
        let request = link_up_request(LO_INDEX);
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
