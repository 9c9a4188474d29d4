// Fills in the "sdk" field of the case files in this directory: what the
// newest public SDK puts on the wire for the same input. See README.md.

import { readFile, readdir, writeFile } from "node:fs/promises";
import { GoogleGenAI } from "@google/genai";
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
await new Promise((resolve) => server.on("listening", resolve));

let frames = [];
server.on("connection", (socket) => {
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    frames.push(message);
    if (message.setup) socket.send(JSON.stringify({ setupComplete: {} }));
  });
});

const ai = new GoogleGenAI({
  apiKey: "emulator-recorder",
  httpOptions: { apiVersion: "v1alpha", baseUrl: `http://127.0.0.1:${server.address().port}` },
});
const callbacks = { onmessage() {} };

async function frameAfter(act, wanted) {
  frames = [];
  await act();
  for (let i = 0; i < 100 && !frames.some(wanted); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  return frames.find(wanted);
}

const perform = {
  connect: (input) =>
    frameAfter(
      async () => (await ai.live.connect({ model: "gemini-3.8-live", ...input, callbacks })).close(),
      (frame) => frame.setup,
    ),
  content: (input) => send("sendClientContent", input),
  realtime: (input) => send("sendRealtimeInput", input),
  tool: (input) => send("sendToolResponse", input),
};

async function send(method, input) {
  const session = await ai.live.connect({ model: "gemini-3.8-live", callbacks });
  try {
    return await frameAfter(() => session[method](input), (frame) => !frame.setup);
  } finally {
    session.close();
  }
}

for (const file of (await readdir(".")).filter((name) => name.endsWith(".json"))) {
  const cases = JSON.parse(await readFile(file, "utf8"));
  for (const one of cases) {
    try {
      // A copy, because the SDK changes tools in place.
      one.sdk = { wire: await perform[file.replace(".json", "")](structuredClone(one.input)) };
    } catch {
      one.sdk = { refused: true };
    }
  }
  await writeFile(file, JSON.stringify(cases, null, 2) + "\n");
}
server.close();
process.exit(0);
