// How live.connect of @google/genai 3.1.0 settles when there is no session.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { describe, test } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { WebSocketServer } from "ws";
import { Emulator, sideBySide, speaks, writes } from "./emulator.mjs";

const closed = (code, reason) => `Live connection closed before setup completed (code ${code}): ${reason}`;
const late = { newSessionExpireTime: new Date(Date.now() + 3_600_000).toISOString() };
const resuming = (handle) => ({ ...writes, config: { ...writes.config, sessionResumption: { handle } } });

describe("live.connect rejects with code and reason", sideBySide, () => {
  for (const [sentence, { by = (emulator) => emulator.key, setup, version, message }] of Object.entries({
    "a key that is not the emulator's": { by: () => "no-key", message: closed(1007, "API key not valid. Please pass a valid API key.") },
    "a token that is spent": {
      by: async (emulator) => {
        const token = await emulator.mint();
        await emulator.connect(token);
        return token;
      },
      message: closed(1011, "Token has been used too many times"),
    },
    "a token whose window for new sessions is over": {
      by: async (emulator) => {
        const token = await emulator.mint();
        await emulator.advance("1m");
        return token;
      },
      message: closed(1011, "new_session_expire_time deadline exceeded"),
    },
    "a token that has expired": {
      by: async (emulator) => {
        const token = await emulator.mint(late);
        await emulator.advance("30m");
        return token;
      },
      message: closed(1011, "Token has expired"),
    },
    "a token that nobody minted": { by: () => `auth_tokens/${"0".repeat(64)}`, message: closed(1011, "Token not found") },
    "a model that does not exist": {
      setup: { model: "gemini-0" },
      message: closed(1008, "models/gemini-0 is not found for API version v1alpha, or is not supported for bidiGenerateContent. Call ListModels to see t"),
    },
    "a model that does not write": {
      setup: { ...writes, model: speaks.model },
      message: closed(1007, "The requested combination of response modalities (TEXT) is not supported by the model"),
    },
    "an unknown field": {
      setup: { ...speaks, config: { ...speaks.config, speechConfig: { voice: "Kore" } } },
      message: closed(1007, `Invalid JSON payload received. Unknown name "voice" at 'setup.generation_config.speech_config': Cannot find field.`),
    },
    "a handle that is none": { setup: resuming("garbage"), message: closed(1007, "Invalid session handle") },
    "a handle that is not known": { setup: resuming(randomUUID()), message: closed(1008, "BidiGenerateContent session not found") },
    "a version that has no socket": { version: "v1", message: "Live connection failed before setup completed: Unexpected server response: 404" },
  })) {
    test(sentence, async (t) => {
      const emulator = await Emulator.open(t);
      await assert.rejects(emulator.connect(await by(emulator), setup, version), { message });
    });
  }

  test("nobody who listens", async () => {
    await assert.rejects(connectTo("http://127.0.0.1:1"), { message: "Live connection failed before setup completed: connect ECONNREFUSED 127.0.0.1:1" });
  });
});

// The SDK has no time-out of its own. What it waits for is the socket, so
// whoever needs a bound has to bring it.
test("live.connect waits for as long as a silent service keeps the socket", sideBySide, async (t) => {
  const silent = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  t.after(() => silent.close());
  await once(silent, "listening");

  let settled = false;
  const connecting = connectTo(`http://127.0.0.1:${silent.address().port}`).finally(() => (settled = true));
  const [socket] = await once(silent, "connection");
  const [setup] = await once(socket, "message");
  assert.ok("setup" in JSON.parse(setup));
  socket.ping(); // its answer shows that all before it has been handled
  await once(socket, "pong");
  assert.equal(settled, false);

  socket.close(1011, "The service is currently unavailable.");
  await assert.rejects(connecting, { message: closed(1011, "The service is currently unavailable.") });
});

function connectTo(baseUrl) {
  return new GoogleGenAI({ apiKey: "emulator", httpOptions: { baseUrl } }).live.connect({ ...writes, callbacks: { onmessage() {} } });
}

describe("an open session is told why it ends", sideBySide, () => {
  for (const [sentence, { does, message }] of Object.entries({
    "its token is cut short": { does: (emulator) => emulator.control("fault", { kind: "expire-token" }), message: { code: 1011, reason: "auth token has expired" } },
    "its time is over": { does: (emulator) => emulator.advance("10m"), message: { code: 1011, reason: "Deadline expired before operation could complete." } },
    "the service stumbles": {
      does: (emulator) => emulator.control("fault", { kind: "close", code: 1008, reason: "The operation was aborted." }),
      message: { code: 1008, reason: "The operation was aborted." },
    },
    "the line is cut": { does: (emulator) => emulator.control("fault", { kind: "drop" }), message: { code: 1006, reason: "" } },
    "an unknown function's response": {
      does: (_, { session }) => session.sendToolResponse({ functionResponses: { id: "none", name: "none", response: {} } }),
      message: { code: 1007, reason: "Request contains an invalid argument." },
    },
    "activityStart although the service detects activity": {
      does: (_, { session }) => session.sendRealtimeInput({ activityStart: {} }),
      message: { code: 1007, reason: "Request contains an invalid argument." },
    },
  })) {
    test(sentence, async (t) => {
      const emulator = await Emulator.open(t);
      const conversation = await emulator.connect(await emulator.mint());
      await does(emulator, conversation);
      assert.deepEqual(await conversation.closed(), message);
    });
  }
});
