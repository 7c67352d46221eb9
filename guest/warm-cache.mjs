// Runs the agent once, on the machine that builds the image, so that V8's compiled code lies in
// the image: it is started, answers one question from a stand-in for the model, and is stopped.
// Nothing of its state is kept.
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

const START_MAX_MS = 300_000;
const state = mkdtempSync("/tmp/warm-");
const token = "warm";

const chunk = (delta, finish) =>
  `data: ${JSON.stringify({
    id: "warm",
    object: "chat.completion.chunk",
    created: 1,
    model: "council-brain",
    choices: [{ index: 0, delta, finish_reason: finish }],
  })}\n\n`;
const upstream = createServer((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(chunk({ role: "assistant", content: "" }, null));
    response.write(chunk({ content: "warm" }, null));
    response.write(chunk({}, "stop"));
    response.end("data: [DONE]\n\n");
  });
});
await new Promise((done) => upstream.listen(4040, "127.0.0.1", done));

writeFileSync(
  `${state}/openclaw.json`,
  JSON.stringify({
    gateway: {
      mode: "local",
      port: 1977,
      bind: "loopback",
      auth: { mode: "token", token },
      controlUi: { enabled: false },
      http: { endpoints: { chatCompletions: { enabled: true } } },
    },
    agents: { defaults: { model: { primary: "sanctum/council-brain" }, skipBootstrap: true } },
    models: {
      mode: "merge",
      providers: {
        sanctum: {
          baseUrl: "http://127.0.0.1:4040/v1",
          apiKey: "warm",
          api: "openai-completions",
          models: [
            {
              id: "council-brain",
              name: "council-brain",
              reasoning: false,
              input: ["text"],
              cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
              contextWindow: 131072,
              maxTokens: 4096,
            },
          ],
        },
      },
    },
  }),
);
chmodSync(`${state}/openclaw.json`, 0o600);

const environment = Object.fromEntries(
  readFileSync("/usr/local/lib/sanctum/openclaw.env", "utf8")
    .split("\n")
    .filter((line) => line.includes("=") && !line.startsWith("#"))
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
);
const program = "/opt/sanctum/agent/node_modules/openclaw/openclaw.mjs";
const agent = spawn(process.execPath, [program, "gateway", "run", "--port", "1977"], {
  env: {
    ...process.env,
    ...environment,
    HOME: state,
    OPENCLAW_STATE_DIR: state,
    OPENCLAW_CONFIG_PATH: `${state}/openclaw.json`,
  },
  stdio: ["ignore", "inherit", "inherit"],
});
const gone = new Promise((done) => agent.on("exit", (code, signal) => done(code ?? signal)));
gone.then((how) => {
  if (!stopping) fail(`the agent ended by itself (${how})`);
});
let stopping = false;

function fail(why) {
  console.error(`cannot warm the compile cache: ${why}`);
  agent.kill("SIGKILL");
  process.exit(1);
}

const begun = Date.now();
for (;;) {
  if (Date.now() - begun > START_MAX_MS) fail("the agent did not become ready");
  const ready = await fetch("http://127.0.0.1:1977/readyz").then(
    (response) => response.ok,
    () => false,
  );
  if (ready) break;
  await new Promise((done) => setTimeout(done, 250));
}
for (const stream of [true, false]) {
  const answer = await fetch("http://127.0.0.1:1977/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: "openclaw",
      stream,
      messages: [{ role: "user", content: "ping" }],
    }),
  });
  const text = await answer.text();
  if (!answer.ok || !text.includes("warm")) fail(`no answer: ${answer.status} ${text}`);
}
stopping = true;
agent.kill("SIGTERM");
await gone;
upstream.close();
upstream.closeAllConnections();
rmSync(state, { recursive: true, force: true });
