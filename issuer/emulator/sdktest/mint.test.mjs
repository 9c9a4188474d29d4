// Tokens, as @google/genai 3.1.0 asks for them.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Emulator, sideBySide, speaks, writes } from "./emulator.mjs";

const constrained = {
  model: speaks.model,
  config: {
    ...speaks.config,
    temperature: 0.7,
    systemInstruction: "Be brief.",
    tools: [{ functionDeclarations: [{ name: "get_time" }] }, { googleSearch: {} }],
    inputAudioTranscription: {},
    contextWindowCompression: { triggerTokens: "25600", slidingWindow: {} },
  },
};

// What the SDK makes of it: two levels, and a list bare (run; up to 2.9 it was
// tools.0, which the service refuses).
const mask = [
  "model", "generationConfig.responseModalities", "generationConfig.temperature", "systemInstruction.parts", "systemInstruction.role", "tools",
  "inputAudioTranscription", "outputAudioTranscription", "contextWindowCompression.triggerTokens", "contextWindowCompression.slidingWindow",
];

describe("a token is minted and opens a session", sideBySide, () => {
  for (const [sentence, { config, lock, fieldMask, uses = 1, client = speaks }] of Object.entries({
    "no configuration": { lock: "none" },
    "an empty one": { config: {}, lock: "none" },
    "times and uses": { config: { uses: 0, expireTime: inAnHour(), newSessionExpireTime: inAnHour() }, lock: "none", uses: 0 },
    "constraints and no list: a full lock": {
      config: { liveConnectConstraints: constrained }, lock: "full", client: { model: "gemini-0", config: {} },
    },
    "constraints and an empty list: what they set": {
      config: { liveConnectConstraints: constrained, lockAdditionalFields: [] }, lock: "masked", fieldMask: mask, client: { model: "gemini-0", config: {} },
    },
    "constraints and a list: that too": {
      config: { liveConnectConstraints: constrained, lockAdditionalFields: ["topP", "topK", "tools", "proactivity"] },
      lock: "masked", fieldMask: [...mask, "generationConfig.topP", "generationConfig.topK", "proactivity"], // tools came twice
    },
    "a list alone": {
      config: { lockAdditionalFields: ["systemInstruction", "generationConfig.temperature"] },
      lock: "masked", fieldMask: ["systemInstruction", "generationConfig.temperature"],
    },
  })) {
    test(sentence, async (t) => {
      const emulator = await Emulator.open(t);
      const name = await emulator.mint(config);
      assert.match(name, /^auth_tokens\/[0-9a-f]{64}$/);
      const conversation = await emulator.connect(name, client);
      const turn = await conversation.type("my name is Ada").turn();
      assert.equal(turn.said, "Hello Ada, nice to meet you.");
      const token = await emulator.token();
      assert.deepEqual({ lock: token.lock, fieldMask: token.fieldMask, uses: token.uses, used: token.used }, { lock, fieldMask, uses, used: 1 });
    });
  }
});

test("without a configuration the body is {}", sideBySide, async (t) => {
  const emulator = await Emulator.open(t);
  await emulator.mint();
  assert.equal((await emulator.journal())[0].bytes, 2);
});

describe("a refusal has Google's code, status and words", sideBySide, () => {
  for (const [sentence, { config, key, version, fault, code, status = "INVALID_ARGUMENT", message }] of Object.entries({
    "a key that is not the emulator's": { key: "no-key", code: 400, message: "API key not valid. Please pass a valid API key." },
    "an expireTime 20 hours ahead": { config: { expireTime: inHours(20.1) }, code: 400, message: "expire_time is too far in the future. Maximum lifetime is 20h" },
    "a time that is past": { config: { newSessionExpireTime: inHours(-1) }, code: 400, message: "new_session_expire_time must be in the future" },
    "uses below zero": { config: { uses: -1 }, code: 400, message: "uses must not be negative" },
    "an unknown field in the constraints": {
      config: { liveConnectConstraints: { model: writes.model, config: { realtimeInputConfig: { vad: true } } } }, code: 400,
      message: `Invalid JSON payload received. Unknown name "vad" at 'auth_token.bidi_generate_content_setup.realtime_input_config': Cannot find field.`,
    },
    "a list alone, whose names the SDK does not qualify": {
      config: { lockAdditionalFields: ["temperature"] }, code: 400, message: "field_mask is invalid for BidiGenerateContentSetup",
    },
    "a field of generationConfig that the SDK does not know as one": {
      config: { liveConnectConstraints: speaks, lockAdditionalFields: ["mediaResolution"] }, code: 400, message: "field_mask is invalid for BidiGenerateContentSetup",
    },
    "a version that has no tokens": { version: "v1", code: 404, status: "Not Found", message: "" },
    "a quota that is used up": { fault: 429, code: 429, status: "RESOURCE_EXHAUSTED", message: "Resource has been exhausted (e.g. check quota)." },
    "a caller without permission": { fault: 403, code: 403, status: "PERMISSION_DENIED", message: "The caller does not have permission" },
    "a service that fails": { fault: 500, code: 500, status: "INTERNAL", message: "Internal error encountered." },
    "a service that is not there": { fault: 503, code: 503, status: "UNAVAILABLE", message: "The service is currently unavailable." },
  })) {
    test(sentence, async (t) => {
      const emulator = await Emulator.open(t);
      if (fault) await emulator.control("fault", { kind: "mint-error", status: fault });
      await assert.rejects(emulator.client(key, version).authTokens.create({ config }), (error) => {
        assert.equal(error.name, "ApiError");
        assert.equal(error.status, code);
        const answer = JSON.parse(error.message).error;
        assert.deepEqual([answer.code, answer.status, answer.message], [code, status, message]);
        return true;
      });
    });
  }
});

function inAnHour() {
  return inHours(1);
}

function inHours(hours) {
  return new Date(Date.now() + hours * 3_600_000).toISOString();
}
