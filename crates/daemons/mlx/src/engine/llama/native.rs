//! The two things of llama.cpp that its Rust wrapper does not offer: what it was compiled for, and
//! its log with the reason when a model is refused.
#![expect(unsafe_code, reason = "llama.cpp is C++; each call here says why it is sound")]

use std::ffi::{CStr, c_char, c_void};
use std::sync::Mutex;

use llama_cpp_sys_2 as sys;

/// What llama.cpp was compiled for, as `NAME = 1 | NAME = 1 | …`.
pub(super) fn system_info() -> String {
    // SAFETY: takes nothing and returns a static buffer that ends with a zero.
    let text = unsafe { CStr::from_ptr(sys::llama_print_system_info()) };
    text.to_string_lossy().into_owned()
}

/// What llama.cpp complained of.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    first: Mutex<Option<String>>,
}

impl Complaints {
    /// The first complaint since the last call, if there was one: it names the cause, what follows
    /// only says that something failed.
    pub(super) fn first(&self) -> Option<String> {
        self.first.lock().ok()?.take()
    }
}

/// Sends llama.cpp's log to ours, its information as debug, and keeps what it complains of.
///
/// What is returned lives as long as the program: llama.cpp may write to its log until then.
pub(super) fn watch_log() -> &'static Complaints {
    let complaints: &'static Complaints = Box::leak(Box::default());
    let user_data = std::ptr::from_ref(complaints).cast_mut().cast::<c_void>();
    // SAFETY: the function has the wanted type, and `user_data` points to a `Complaints` that is
    // never freed and only read through a shared reference.
    unsafe { sys::llama_log_set(Some(on_log), user_data) };
    complaints
}

extern "C" fn on_log(level: sys::ggml_log_level, text: *const c_char, user_data: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a text that ends with a zero and lives through this call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim();
    if text.is_empty() || text.chars().all(|c| c == '.') {
        return;
    }
    // SAFETY: `user_data` is what `watch_log` gave: a `Complaints` that is never freed.
    let complaints = unsafe { &*user_data.cast_const().cast::<Complaints>() };
    match level {
        sys::GGML_LOG_LEVEL_ERROR => {
            tracing::warn!(engine = "llama", "{text}");
            if let Ok(mut first) = complaints.first.lock() {
                first.get_or_insert_with(|| text.to_owned());
            }
        }
        sys::GGML_LOG_LEVEL_WARN => tracing::warn!(engine = "llama", "{text}"),
        _ => tracing::debug!(engine = "llama", "{text}"),
    }
}
