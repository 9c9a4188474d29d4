// A page as Google's documentation of ephemeral tokens has it, whose back end is
// the issuer: a token is fetched, and @google/genai takes it for its API key.

import assert from "node:assert/strict";
import { test } from "node:test";
import { GoogleGenAI, Modality } from "@google/genai";

const issuer = process.env.TEST_ISSUER_URL ?? "http://127.0.0.1:8080"; // livevalet dev
const baseUrl = issuer; // the emulator's; without it the SDK goes to Google

for (const path of ["/v1/token", "/api/token"]) {
  test(`a page of the SDK's gets its token from ${path}`, { timeout: 30_000 }, async (t) => {
    const { token } = await (await fetch(issuer + path, { method: "POST" })).json(); // the line that differs

    const ai = new GoogleGenAI({ apiKey: token, httpOptions: { apiVersion: "v1alpha", baseUrl } });
    const { promise: over, resolve, reject } = withResolvers();
    const seen = { kinds: new Set(), bytes: 0 };
    const session = await ai.live.connect({
      model: "gemini-3.8-live",
      config: { responseModalities: [Modality.AUDIO] },
      callbacks: {
        onmessage: (message) => {
          for (const kind of Object.keys(message)) seen.kinds.add(kind);
          seen.bytes += Buffer.from(message.data ?? "", "base64").length;
          if (message.serverContent?.turnComplete) resolve();
        },
        onclose: ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`)),
      },
    });
    t.after(() => session.close());
    session.sendRealtimeInput({ text: "my name is Ada" });
    await over;
    assert.ok(seen.kinds.has("setupComplete") && seen.bytes > 24_000, `${[...seen.kinds]}, ${seen.bytes} bytes of sound`);
  });
}

test("a token that is not there opens nothing", { timeout: 30_000 }, async () => {
  const ai = new GoogleGenAI({ apiKey: `auth_tokens/${"0".repeat(64)}`, httpOptions: { apiVersion: "v1alpha", baseUrl } });
  const { promise: closed, resolve } = withResolvers();
  const callbacks = { onmessage: ({ setupComplete }) => setupComplete && resolve("it opened"), onclose: ({ code }) => resolve(code) };
  await ai.live.connect({ model: "gemini-3.8-live", callbacks }).catch(resolve);
  assert.notEqual(await closed, "it opened");
});

/** Promise.withResolvers, which Node has from 22 on. */
function withResolvers() {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
}
