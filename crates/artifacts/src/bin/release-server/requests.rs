//! The list of all that was asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::head::Head;

/// Requests in the order in which they came; those for the list itself are not in it.
#[derive(Debug, Default)]
pub struct Requests(Mutex<Vec<Arc<Request>>>);

/// A request and its answer.
#[derive(Debug)]
pub struct Request {
    method: String,
    host: String,
    target: String,
    range: Option<String>,
    secure: bool,
    status: AtomicU64,
    sent: AtomicU64,
}

impl Requests {
    pub fn add(&self, head: &Head, secure: bool) -> Arc<Request> {
        let field = |name| head.field(name).map(str::to_owned);
        let request = Arc::new(Request {
            method: head.method.clone(),
            host: field("host").unwrap_or_default(),
            target: head.target.clone(),
            range: field("range"),
            secure,
            status: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(request.clone());
        request
    }

    /// As /_requests gives it.
    pub fn json(&self) -> Value {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|request| request.json()).collect()
    }
}

impl Request {
    pub fn answered(&self, status: u16) {
        self.status.store(status.into(), Ordering::SeqCst);
    }

    /// Counts bytes of the body.
    pub fn sends(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    fn json(&self) -> Value {
        json!({
            "method": self.method,
            "host": self.host,
            "target": self.target,
            "range": self.range,
            "secure": self.secure,
            "status": self.status.load(Ordering::SeqCst),
            "sent": self.sent.load(Ordering::SeqCst),
        })
    }
}
