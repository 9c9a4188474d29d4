// From the arguments of the public API to the JSON of the wire. Everything that
// leaves here is plain JSON: it can be cloned to a Worker and holds no null
// where the protocol has a field. What cannot be sent is refused by path.

import { misuse } from "./errors";
import type { ClientContent, LiveConnectConfig, RealtimeInput, SessionUpdate, ToolResponse } from "/livevalet.js";

type Json = string | number | boolean | null | Json[] | Dict;
type Dict = { [key: string]: Json };

/** Adds the prefix that a bare model id lacks. */
export function toModel(model: unknown): string {
  if (typeof model !== "string" || model === "") throw misuse("model must be a string that is not empty");
  if (/\.\.|[?&]/.test(model)) throw misuse("model holds characters that no model name has");
  return /^(models|tunedModels)\//.test(model) ? model : `models/${model}`;
}

// Where each field of the configuration goes.
const generationFields = new Set([
  "responseModalities", "temperature", "topP", "topK", "maxOutputTokens", "seed", "mediaResolution",
  "thinkingConfig", "enableAffectiveDialog", "translationConfig",
]);
const setupFields = new Set([
  "inputAudioTranscription", "outputAudioTranscription", "realtimeInputConfig", "contextWindowCompression",
  "proactivity", "avatarConfig", "labels", "historyConfig",
]);
const refusedFields: Record<string, string> = {
  httpOptions: "has no place in a Live session: give headers and URL to the token endpoint",
  abortSignal: "belongs to connect: use its option signal",
  explicitVadSignal: "is not known to this service: remove it",
};

/** The setup message's content, without model and sessionResumption, which the engine writes. */
export function toSetup(config: LiveConnectConfig = {}): Record<string, unknown> {
  for (const [field, why] of Object.entries(refusedFields)) {
    if (isDict(config) && config[field] != null) throw misuse(`config.${field} ${why}`);
  }
  const given = dict(plain(config, "config"), "config");
  const setup: Dict = {};
  const generation = given.generationConfig === undefined ? {} : dict(given.generationConfig, "config.generationConfig");
  delete given.generationConfig;
  const generate = (field: string, value: Json) => {
    if (field in generation) throw misuse(`config.${field} is also in config.generationConfig: set it once`);
    generation[field] = value;
  };

  for (const [field, value] of Object.entries(given)) {
    const path = `config.${field}`;
    if (generationFields.has(field)) generate(field, value);
    else if (setupFields.has(field)) setup[field] = value;
    else if (field === "speechConfig") generate(field, toSpeech(value, path));
    else if (field === "systemInstruction") setup[field] = toContent(value, path);
    else if (field === "tools") setup[field] = list(value, path).map((tool, i) => toTool(tool, `${path}[${i}]`));
    else if (field === "safetySettings") setup[field] = toSafety(value, path);
    else if (field === "sessionResumption") refuseResumption(value, path);
    else throw misuse(`${path} is not known: check its spelling`);
  }
  if (Object.keys(generation).length > 0) setup.generationConfig = generation;
  return setup;
}

/** A change of a running session's setup: of fields that the service takes when it resumes one. */
export function toUpdate(change: SessionUpdate): Record<string, unknown> {
  const fields = Object.keys(dict(plain(change, "update"), "update"));
  if (fields.length === 0 || fields.some((field) => field !== "systemInstruction" && field !== "tools")) {
    throw misuse("update takes systemInstruction, tools or both, and nothing else");
  }
  return toSetup(change);
}

export function toClientContent(content: ClientContent = {}): Record<string, unknown> {
  const { turns, turnComplete } = dict(plain(content, "content"), "content");
  return {
    clientContent: {
      ...(turns === undefined ? {} : { turns: toContents(turns, "turns") }),
      turnComplete: turnComplete ?? true,
    },
  };
}

const realtimeKinds: Record<string, (value: Json) => Dict> = {
  audio: (value) => ({ audio: toBlob(value, "audio", "audio/") }),
  video: (value) => ({ video: toBlob(value, "video", "image/") }),
  // The service closes with 1007 on mediaChunks, which the SDK makes of it.
  media: (value) => {
    const picture = isDict(value) && String(value.mimeType).startsWith("image/");
    return picture ? realtimeKinds.video!(value) : realtimeKinds.audio!(value);
  },
  text: (text) => {
    if (typeof text !== "string") throw misuse("text must be a string");
    return { text };
  },
  activityStart: () => ({ activityStart: {} }),
  activityEnd: () => ({ activityEnd: {} }),
  audioStreamEnd: () => ({ audioStreamEnd: true }),
};

/** Exactly one kind per message: sound may be dropped when it waits too long, text may not. */
export function toRealtimeInput(input: RealtimeInput): Record<string, unknown> {
  const given = Object.entries(dict(plain(input, "input"), "input")).filter(([, value]) => value !== false);
  const [kind, value] = given[0] ?? [];
  const convert = kind !== undefined && Object.hasOwn(realtimeKinds, kind) ? realtimeKinds[kind] : undefined;
  if (given.length !== 1 || value === undefined || convert === undefined) {
    throw misuse("send exactly one of audio, video, text, activityStart, activityEnd, audioStreamEnd in each call");
  }
  return { realtimeInput: convert(value) };
}

export function toToolResponse(response: ToolResponse): Record<string, unknown> {
  const given = dict(plain(response, "response"), "response").functionResponses ?? [];
  const responses = Array.isArray(given) ? given : [given];
  if (responses.length === 0) throw misuse("functionResponses is empty: answer at least one call");
  responses.forEach((one, i) => {
    const { id, name, response } = dict(one, `functionResponses[${i}]`);
    if (!id || typeof id !== "string") throw misuse(`functionResponses[${i}].id is missing: give the id of the call`);
    if (typeof name !== "string") throw misuse(`functionResponses[${i}].name is missing: give the function's name`);
    if (!isDict(response)) throw misuse(`functionResponses[${i}].response must be an object, such as {output: …}`);
  });
  return { toolResponse: { functionResponses: responses } };
}

function toBlob(value: Json, path: string, type: string): Dict {
  const blob = dict(value, path);
  if (typeof blob.mimeType !== "string" || !blob.mimeType.startsWith(type)) {
    throw misuse(`${path}.mimeType must begin with ${type}`);
  }
  if (!blob.data || typeof blob.data !== "string") throw misuse(`${path}.data must be a base64 string that is not empty`);
  return blob;
}

// ---- contents ------------------------------------------------------------

function toContents(value: Json, path: string): Json[] {
  if (!Array.isArray(value)) return [toContent(value, path)];
  const contents = value.filter(isContent).length;
  if (value.length === 0) throw misuse(`${path} is empty: leave it out instead`);
  if (contents === 0) return [toContent(value, path)];
  if (contents < value.length) throw misuse(`${path} mixes contents and parts: put the parts into contents`);
  return value;
}

/** A content as it is; anything else becomes the parts of one of the user's. */
function toContent(value: Json, path: string): Dict {
  if (isContent(value)) return value;
  const parts = Array.isArray(value) ? value : [value];
  if (parts.length === 0) throw misuse(`${path} is empty: leave it out instead`);
  return { role: "user", parts: parts.map((part) => toPart(part, path)) };
}

function toPart(value: Json, path: string): Dict {
  if (typeof value === "string") return { text: value };
  if (!isDict(value)) throw misuse(`${path} must be made of strings, parts or contents`);
  if ("functionCall" in value || "functionResponse" in value) {
    throw misuse(`${path} holds a function call or response outside a content: say whose it is`);
  }
  return value;
}

function isContent(value: Json): value is Dict {
  return isDict(value) && Array.isArray(value.parts);
}

// ---- configuration -------------------------------------------------------

function toSpeech(value: Json, path: string): Dict {
  const speech = dict(value, path);
  if ("multiSpeakerVoiceConfig" in speech) throw misuse(`${path}: a Live session has one voice, use voiceConfig`);
  return speech;
}

function toSafety(value: Json, path: string): Json {
  for (const [i, setting] of list(value, path).entries()) {
    if ("method" in dict(setting, `${path}[${i}]`)) throw misuse(`${path}[${i}].method is not known to this service`);
  }
  return value;
}

function refuseResumption(value: Json, path: string): void {
  const resumption = dict(value, path);
  if ("transparent" in resumption) throw misuse(`${path}.transparent is not known to this service: remove it`);
  if ("handle" in resumption) throw misuse(`${path}.handle: a conversation keeps its own handle, remove it`);
}

function toTool(value: Json, path: string): Dict {
  const tool = dict(value, path);
  for (const field of ["retrieval", "enterpriseWebSearch", "exaAiSearch", "parallelAiSearch"]) {
    if (field in tool) throw misuse(`${path}.${field} is not known to this service: remove it`);
  }
  if (tool.functionDeclarations === undefined) return tool;
  path += ".functionDeclarations";
  const functions = list(tool.functionDeclarations, path).map((f, i) => toFunction(f, `${path}[${i}]`));
  return { ...tool, functionDeclarations: functions };
}

function toFunction(value: Json, path: string): Dict {
  const declaration = dict(value, path);
  for (const field of ["parameters", "response"]) {
    const schema = declaration[field];
    if (schema == null) delete declaration[field];
    else if (isDict(schema) && "$schema" in schema) {
      delete declaration[field];
      declaration[`${field}JsonSchema`] ??= schema;
    } else declaration[field] = toSchema(schema, `${path}.${field}`);
  }
  return declaration;
}

const schemaTypes = new Set(["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"]);

/** A JSON schema in the service's dialect: upper-case types, null as "nullable", no additionalProperties. */
function toSchema(value: Json, path: string): Dict {
  let schema = dict(value, path);
  const out: Dict = {};
  if (schema.type && schema.anyOf) throw misuse(`${path} has both type and anyOf: use one`);

  if (Array.isArray(schema.anyOf)) {
    const members = schema.anyOf.filter((member) => !isDict(member) || member.type !== "null");
    if (members.length < schema.anyOf.length) out.nullable = true;
    // Of a pair with null, the other member is the schema itself.
    if (schema.anyOf.length === 2 && members.length === 1) schema = dict(members[0]!, `${path}.anyOf`);
    else out.anyOf = members.map((member, i) => toSchema(member, `${path}.anyOf[${i}]`));
  }
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null");
    if (types.length < schema.type.length) out.nullable = true;
    if (types.length === 1) out.type = schemaType(types[0]!);
    else out.anyOf = types.map((type) => ({ type: schemaType(type) }));
  }
  for (const [field, value] of Object.entries(schema)) {
    if (value === null || field === "additionalProperties" || field in out) continue;
    if (field === "type") {
      if (value === "null") throw misuse(`${path} has no type but null: give another`);
      if (!Array.isArray(value)) out.type = schemaType(value);
    } else if (field === "items") out.items = toSchema(value, `${path}.items`);
    else if (field === "properties") {
      const properties = Object.entries(dict(value, `${path}.properties`));
      out.properties = Object.fromEntries(properties.map(([name, of]) => [name, toSchema(of, `${path}.${name}`)]));
    } else out[field] = value;
  }
  return out;
}

function schemaType(type: Json): string {
  const upper = String(type).toUpperCase();
  return schemaTypes.has(upper) ? upper : "TYPE_UNSPECIFIED";
}

// ---- plain JSON ----------------------------------------------------------

// Fields whose content is the application's: null is a value in them.
const free = new Set(["args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "partMetadata"]);

/** A copy that is JSON and nothing else; undefined if there is no value. */
function plain(value: unknown, path: string, keepNull = false, above: unknown[] = []): Json | undefined {
  if (value === null && keepNull) return null;
  if (value == null) return undefined;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value !== "object") throw misuse(`${path} is a ${typeof value} that cannot be sent: remove it`);
  if (above.includes(value)) throw misuse(`${path} contains itself: it cannot be sent`);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Blob) {
    throw misuse(`${path} holds bytes: encode them as a base64 string`);
  }
  const inside = [...above, value];
  if (Array.isArray(value)) {
    return value.map((item, i) => {
      const copy = plain(item, `${path}[${i}]`, keepNull, inside);
      if (copy === undefined) throw misuse(`${path}[${i}] is ${item}: remove it`);
      return copy;
    });
  }
  if ("toJSON" in value && typeof value.toJSON === "function") return plain(value.toJSON(), path, keepNull, inside);
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => {
      const copy = plain(item, `${path}.${key}`, keepNull || free.has(key), inside);
      return copy === undefined ? [] : [[key, copy]];
    }),
  );
}

function isDict(value: unknown): value is Dict {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function dict(value: Json | undefined, path: string): Dict {
  if (!isDict(value)) throw misuse(`${path} must be an object`);
  return value;
}

function list(value: Json, path: string): Json[] {
  if (!Array.isArray(value)) throw misuse(`${path} must be a list`);
  return value;
}
