//! The agent's configuration.

use alloc::string::{String, ToString as _};

use sanctum_model::manifest::ToolProfile;
use serde_json::{Value, json};

use super::{AGENT_PORT, GATEWAY_PORT};

/// The time the agent waits for its model's next word, in seconds. A local model on a busy machine
/// reads for minutes before it writes; the agent's own limit of two would cut it off.
const ANSWER_MAX_S: u32 = 900;

/// What the agent must know to serve its owner and to reach its model.
///
/// It holds two secrets, and so does what is rendered from it.
#[derive(Clone, Copy)]
pub struct Agent<'a> {
    /// The bearer token of its gateway: full power over the agent.
    pub gateway_token: &'a str,
    /// Its own key at proxyd. Any process in the guest may come to know it.
    pub caller_key: &'a str,
    /// The model name it asks proxyd for.
    pub model: &'a str,
    /// How many tools it is told of.
    pub tools: ToolProfile,
    /// The context window of that model, in tokens.
    pub context_tokens: u32,
    /// The longest answer it asks for, in tokens.
    pub answer_tokens_max: u32,
}

impl core::fmt::Debug for Agent<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Agent").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Renders `openclaw.json`: local mode, loopback, token, one provider behind the umbilical.
///
/// Its own updates, its discovery on the network and its web page are off: the image is replaced
/// whole, there is no network, and the page would be a second door.
pub fn openclaw_json(agent: &Agent<'_>) -> String {
    let mut config = json!({
        "gateway": {
            "mode": "local",
            "port": AGENT_PORT,
            "bind": "loopback",
            "auth": { "mode": "token", "token": agent.gateway_token },
            "controlUi": { "enabled": false },
            "http": { "endpoints": { "chatCompletions": { "enabled": true } } },
        },
        "agents": {
            "defaults": {
                "model": { "primary": alloc::format!("sanctum/{}", agent.model) },
                "skipBootstrap": true,
            },
        },
        "models": {
            "mode": "merge",
            "providers": {
                "sanctum": {
                    "baseUrl": alloc::format!("http://127.0.0.1:{GATEWAY_PORT}/v1"),
                    "apiKey": agent.caller_key,
                    "api": "openai-completions",
                    "timeoutSeconds": ANSWER_MAX_S,
                    "models": [{
                        "id": agent.model,
                        "name": agent.model,
                        "reasoning": false,
                        "input": ["text"],
                        "cost": { "input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0 },
                        "contextWindow": agent.context_tokens,
                        "maxTokens": agent.answer_tokens_max,
                    }],
                },
            },
        },
        "update": { "checkOnStart": false },
        "discovery": { "mdns": { "mode": "off" } },
    });
    match agent.tools {
        ToolProfile::Minimal => {
            config["tools"] = json!({ "profile": "minimal" });
        }
        ToolProfile::Full => {}
    }
    pretty(&config)
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    text.push('\n');
    text
}
