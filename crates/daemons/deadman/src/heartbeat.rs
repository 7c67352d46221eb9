//! The heartbeat: tells an outside watcher that we are there. It is withheld while a page waits
//! that nobody takes, so that the watcher is the last to notice.

use std::sync::Arc;
use std::thread;

use crate::config::Config;
use crate::pulse::Pulse;

/// Starts the thread that tells, if there is anybody to be told.
pub(crate) fn start(config: &Config, pulse: &Arc<Pulse>) {
    if config.heartbeats.is_empty() {
        return;
    }
    let (targets, interval) = (config.heartbeats.clone(), config.heartbeat_interval);
    let pulse = Arc::clone(pulse);
    thread::spawn(move || {
        loop {
            if pulse.is_alive() && !pulse.is_stuck() {
                for target in &targets {
                    target.beat().ok();
                }
            }
            thread::sleep(interval);
        }
    });
}
