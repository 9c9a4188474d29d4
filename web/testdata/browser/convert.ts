import connectCases from "../convert/connect.json";
import contentCases from "../convert/content.json";
import realtimeCases from "../convert/realtime.json";
import toolCases from "../convert/tool.json";
import { toClientContent, toModel, toRealtimeInput, toSetup, toToolResponse } from "../../src/convert";
import { same, test, thrown } from "./harness";

interface Outcome {
  wire?: Record<string, any>;
  refused?: boolean;
}

interface Case {
  name: string;
  input: any;
  sdk: Outcome;
  ours?: Outcome;
}

/** The whole setup message, as it would be without the engine. */
function connect({ model = "gemini-3.8-live", config }: any): Record<string, any> {
  return { setup: { model: toModel(model), ...toSetup(config) } };
}

function withoutResumption(wire: Record<string, any>): Record<string, any> {
  const { sessionResumption: _, ...setup } = wire.setup;
  return { setup };
}

function golden(call: string, cases: Case[], convert: (input: any) => unknown): void {
  for (const { name, input, sdk, ours } of cases) {
    const { wire, refused } = ours ?? sdk;
    test(`${call}: ${name}`, () => {
      if (refused) same(thrown(() => convert(input)).code, "invalid_request", "code");
      else same(convert(input), call === "connect" ? withoutResumption(wire!) : wire, "wire");
    });
  }
}

golden("connect", connectCases as Case[], connect);
golden("sendClientContent", contentCases, toClientContent);
golden("sendRealtimeInput", realtimeCases, toRealtimeInput);
golden("sendToolResponse", toolCases, toToolResponse);

const cyclic: Record<string, unknown> = {};
cyclic.self = cyclic;

for (const [what, config, path] of [
  ["a function", { tools: [{ functionDeclarations: [{ name: "f", handler() {} }] }] }, "config.tools[0].functionDeclarations[0].handler"],
  ["a BigInt", { seed: 1n }, "config.seed"],
  ["a symbol", { labels: { a: Symbol("x") } }, "config.labels.a"],
  ["not a number", { temperature: NaN }, "config.temperature"],
  ["bytes", { avatarConfig: { customizedAvatar: { imageData: new Uint8Array(2) } } }, "config.avatarConfig.customizedAvatar.imageData"],
  ["a cycle", { avatarConfig: cyclic }, "config.avatarConfig.self"],
  ["a hole in a list", { responseModalities: [undefined] }, "config.responseModalities[0]"],
  ["no object", { speechConfig: "Kore" }, "config.speechConfig"],
] as [string, any, string][]) {
  test(`what cannot be sent is refused by its path: ${what}`, () => {
    const error = thrown(() => toSetup(config));
    same([error.name, error.code, error.phase, error.retryable], ["LiveValetError", "invalid_request", "setup", false]);
    if (!error.message.startsWith(path)) throw error;
  });
}

test("undefined fields are absent, toJSON is honoured, the caller's objects stay as they are", () => {
  const config = { temperature: undefined, labels: { since: { toJSON: () => "today" } }, tools: [{ functionDeclarations: [{ name: "f", parameters: { type: "object" } }] }] };
  same(toSetup(config as any), {
    labels: { since: "today" },
    tools: [{ functionDeclarations: [{ name: "f", parameters: { type: "OBJECT" } }] }],
  });
  same(config.tools[0]!.functionDeclarations[0]!.parameters.type, "object");
});

test("bytes as audio are refused with the fix", () => {
  const { message } = thrown(() => toRealtimeInput({ audio: { mimeType: "audio/pcm", data: new Uint8Array(4) as any } }));
  if (!/base64/.test(message)) throw new Error(message);
});
