//! What a small supervisor in async Rust costs before it can do anything: one thread of tokio, a
//! process group for each child, both of its outputs drained, started again as soon as it ends.
//!
//! `tokio-floor N PORT BEACON [MODE]`

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, count, port, beacon, mode @ ..] = words.as_slice() else {
        panic!("tokio-floor N PORT BEACON [MODE]");
    };
    let mode = mode.first().map_or("sleep", String::as_str);
    for index in 0..count.parse().expect("N is a number") {
        tokio::spawn(keep(index, port.clone(), beacon.clone(), mode.to_owned()));
    }
    std::future::pending::<()>().await;
}

async fn keep(index: usize, port: String, beacon: String, mode: String) {
    loop {
        let child = Command::new(&beacon)
            .arg(index.to_string())
            .args([&port, &mode])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let Ok(mut child) = child else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) {
            tokio::spawn(drain(output));
            tokio::spawn(drain(errors));
        }
        child.wait().await.ok();
    }
}

async fn drain(mut from: impl AsyncReadExt + Unpin) {
    let mut bytes = [0; 1024];
    while matches!(from.read(&mut bytes).await, Ok(count) if count > 0) {}
}
