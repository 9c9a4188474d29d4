// Conversations by @google/genai.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Emulator, sideBySide, speaks, writes } from "./emulator.mjs";

describe("a conversation", sideBySide, () => {
  test("is written, by API key, in either version", async (t) => {
    for (const version of ["v1alpha", "v1beta"]) {
      const emulator = await Emulator.open(t);
      const conversation = await emulator.connect(emulator.key, writes, version);
      assert.equal((await conversation.type("my name is Ada").turn()).text, "Hello Ada, nice to meet you.");
      conversation.session.sendClientContent({ turns: "what is my name?" });
      assert.equal((await conversation.turn()).text, "Your name is Ada.");
    }
  });

  test("is spoken, by token, in the version that is the SDK's default", async (t) => {
    const emulator = await Emulator.open(t);
    const conversation = await emulator.connect(await emulator.mint(), speaks, "v1beta");
    const turn = await conversation.type("my name is Ada").turn();
    assert.equal(turn.said, "Hello Ada, nice to meet you.");
    assert.ok(turn.bytes > 24_000, `${turn.bytes} bytes of sound`);
    assert.ok(turn.tokens > 0, "usage came with turnComplete");
  });

  test("is heard", async (t) => {
    const emulator = await Emulator.open(t);
    const conversation = await emulator.connect(emulator.key, { ...speaks, config: { ...speaks.config, inputAudioTranscription: {} } });
    for (let i = 0; i < 30; i++) {
      conversation.session.sendRealtimeInput({ audio: { mimeType: "audio/pcm;rate=16000", data: tone(i * 40, 40) } });
    }
    conversation.session.sendRealtimeInput({ audioStreamEnd: true });
    const turn = await conversation.turn();
    assert.equal(turn.heard, "(1.2 seconds of sound)");
    assert.equal(turn.said, "I heard 1.2 seconds of sound.");
  });

  test("is heard between activityStart and activityEnd, if the client says when", async (t) => {
    const emulator = await Emulator.open(t);
    const manual = { realtimeInputConfig: { automaticActivityDetection: { disabled: true } } };
    const conversation = await emulator.connect(emulator.key, { ...speaks, config: { ...speaks.config, ...manual } });
    conversation.session.sendRealtimeInput({ activityStart: {} });
    conversation.session.sendRealtimeInput({ audio: { mimeType: "audio/pcm;rate=16000", data: tone(0, 1000) } });
    conversation.session.sendRealtimeInput({ activityEnd: {} });
    assert.equal((await conversation.turn()).said, "I heard 1.0 seconds of sound.");
  });

  test("is interrupted", async (t) => {
    const emulator = await Emulator.open(t);
    const conversation = await emulator.connect(emulator.key, speaks);
    conversation.type("tell a long story");
    await conversation.next((message) => message.serverContent?.modelTurn);
    conversation.session.sendClientContent({ turns: "my name is Ada" });
    const { serverContent } = await conversation.next((message) => message.serverContent?.interrupted || message.serverContent?.generationComplete);
    assert.ok(serverContent.interrupted);
    await conversation.next((message) => message.serverContent?.turnComplete);
    assert.equal((await conversation.turn()).said, "Hello Ada, nice to meet you.");
  });

  for (const [sentence, { behavior, first, then }] of Object.entries({
    "waits for a blocking function": { behavior: "BLOCKING", then: "get_time says 12:05." },
    "goes on while a non-blocking one runs": { behavior: "NON_BLOCKING", first: "I called get_time, and go on while it works.", then: "get_time says 12:05." },
  })) {
    test(sentence, async (t) => {
      const emulator = await Emulator.open(t);
      const parameters = { type: "OBJECT", properties: { zone: { type: "STRING", enum: ["CET"] } }, required: ["zone"] };
      const tools = [{ functionDeclarations: [{ name: "get_time", behavior, parameters }] }];
      const conversation = await emulator.connect(emulator.key, { ...speaks, config: { ...speaks.config, tools } });
      const { toolCall } = await conversation.type("call get_time").next((message) => message.toolCall);
      const [{ id, name, args }] = toolCall.functionCalls;
      assert.deepEqual([name, args], ["get_time", { zone: "CET" }]);
      if (first) assert.equal((await conversation.turn()).said, first);
      conversation.session.sendToolResponse({ functionResponses: { id, name, response: { output: "12:05" } } });
      assert.equal((await conversation.turn()).said, then);
    });
  }

  test("survives an empty message and fields of tomorrow", async (t) => {
    const emulator = await Emulator.open(t);
    const conversation = await emulator.connect();
    await emulator.control("fault", { kind: "empty" });
    await emulator.control("fault", { kind: "unknown-field" });
    assert.equal((await conversation.type("my name is Ada").turn()).text, "Hello Ada, nice to meet you.");
  });

  test("is told that it will be ended, goes on, and is ended", async (t) => {
    const emulator = await Emulator.open(t);
    const conversation = await emulator.connect();
    await emulator.control("fault", { kind: "goaway", timeLeft: "10s" });
    assert.deepEqual((await conversation.next((message) => message.goAway)).goAway, { timeLeft: "10s" });
    assert.equal((await conversation.type("my name is Ada").turn()).text, "Hello Ada, nice to meet you.");
    await emulator.advance("10s");
    assert.deepEqual(await conversation.closed(), { code: 1011, reason: "Deadline expired before operation could complete." });
  });

  test("is told so after nine minutes without being asked", async (t) => {
    const emulator = await Emulator.open(t);
    const conversation = await emulator.connect();
    await emulator.advance("9m11s");
    assert.deepEqual((await conversation.next((message) => message.goAway)).goAway, { timeLeft: "50s" });
  });

  test("is resumed with a spent token and its handle", async (t) => {
    const emulator = await Emulator.open(t);
    const token = await emulator.mint({ uses: 1, newSessionExpireTime: new Date(Date.now() + 120_000).toISOString() });
    const resuming = (sessionResumption) => ({ ...writes, config: { ...writes.config, sessionResumption } });
    const first = await emulator.connect(token, resuming({}));
    await first.type("my name is Ada").turn();
    const handle = await first.handle();
    await emulator.control("fault", { kind: "drop" });
    assert.equal((await first.closed()).code, 1006);
    await emulator.advance("5m"); // newSessionExpireTime is past, too
    const second = await emulator.connect(token, resuming({ handle }));
    assert.equal((await second.type("what is my name?").turn()).text, "Your name is Ada.");
    assert.notEqual(await second.handle(), handle);
  });
});

/** A sine of 200 Hz at half the full scale, in milliseconds, as 16 kHz PCM. */
function tone(from, length) {
  const pcm = Buffer.alloc(length * 32);
  for (let i = 0; i < length * 16; i++) {
    pcm.writeInt16LE(Math.round(16_000 * Math.sin((2 * Math.PI * 200 * (from * 16 + i)) / 16_000)), i * 2);
  }
  return pcm.toString("base64");
}
