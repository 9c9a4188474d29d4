// The public API; livevalet.d.ts documents it.

import { toModel, toSetup } from "./convert";
import type { OpenOptions } from "./engine";
import { LiveValetError, misuse } from "./errors";
import { checkOrigin, keepSpare } from "./link";
import type { ConnectOptions } from "/livevalet.js";
import { aborted, Session, type Plan } from "./session";
import { microphoneOptions } from "./sound/microphone";
import { speakerOptions } from "./sound/speaker";
import { tokenSpec } from "./tokens";

export { LiveValetError, Session };

export async function connect(options: ConnectOptions = {}): Promise<Session> {
  const plan = prepare(options);
  if (plan.signal?.aborted) throw aborted("setup");
  return new Promise((resolve, reject) => {
    new Session(plan, (session, error) => (error ? reject(error) : resolve(session)));
  });
}

export function preload(): Promise<void> {
  const ready = (async () => {
    checkOrigin();
    await keepSpare();
  })();
  ready.catch(() => {});
  return ready;
}

/** Everything that can be found wrong before anything is opened. */
function prepare({ token, profile = "default", model, config, callbacks = {}, signal, worker = true, microphone = false, speaker, idle }: ConnectOptions): Plan {
  if (typeof profile !== "string" || profile === "") throw misuse("profile must be a string that is not empty");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw misuse("signal must be an AbortSignal");
  if (worker) checkOrigin();
  return {
    options: { profile, model: model === undefined ? undefined : toModel(model), setup: toSetup(config), idle: idleLimits(idle) },
    tokens: tokenSpec(token, document.baseURI),
    tools: config?.tools ?? [],
    callbacks,
    signal,
    worker,
    microphone: microphone === false ? undefined : microphoneOptions(microphone === true ? {} : microphone),
    speaker: speakerOptions(speaker),
  };
}

function idleLimits(idle: ConnectOptions["idle"]): OpenOptions["idle"] {
  if (idle === undefined) return undefined;
  if (idle === false) return { after: -1 };
  if (typeof idle !== "object" || idle === null) throw misuse("idle must be false, or an object with after and warn");
  const { after, warn } = idle;
  for (const ms of [after, warn]) if (ms !== undefined && !(ms > 0 && ms < Infinity)) throw misuse("idle.after and idle.warn must be numbers of milliseconds above zero");
  return { after, warn };
}
