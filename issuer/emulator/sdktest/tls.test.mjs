// The emulator behind TLS. Node trusts its authority by NODE_EXTRA_CA_CERTS.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Emulator, sideBySide, speaks } from "./emulator.mjs";

const url = process.env.TEST_EMULATOR_TLS_URL;

test("mint over https, talk over wss", { ...sideBySide, skip: !url && "TEST_EMULATOR_TLS_URL is not set" }, async (t) => {
  assert.match(url, /^https:/);
  const emulator = await Emulator.open(t, url);
  const conversation = await emulator.connect(await emulator.mint({ liveConnectConstraints: speaks }), speaks);
  assert.equal((await conversation.type("my name is Ada").turn()).said, "Hello Ada, nice to meet you.");
});
