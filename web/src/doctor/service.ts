// What the server and the service do: clock, token, and one short conversation.

import { connect, LiveValetError, type LiveServerMessage } from "/livevalet.js";
import { ask, forbidden } from "./ask";
import { broken, sentence, type Check, type Finding } from "./examine";
import { decibels } from "./sound";
import { Ear, type Visit } from "./visit";

/** How far apart the clocks may be, in seconds. */
const skewLimit = 30;

const clock: Check<Visit> = {
  id: "clock",
  name: "Clock",
  about: "This device and the server agree on the time.",
  needs: [],
  async run(visit, signal) {
    const begun = Date.now();
    const answer = await ask("/version", { signal });
    const here = (begun + Date.now()) / 2;
    const server = await answer.json().catch(() => null);
    if (typeof server?.version === "string") visit.server = server;
    const there = Date.parse(answer.headers.get("date") ?? "");
    if (Number.isNaN(there)) return { state: "warning", measured: "The server's answer has no date.", advice: "Let the proxy in front of the server keep the header Date." };
    const skew = (here - there - 500) / 1_000; // the header has whole seconds
    const measured = `This device is ${Math.abs(skew) < 1 ? "within 1 s of" : `${Math.abs(skew).toFixed(0)} s ${skew < 0 ? "behind" : "ahead of"}`} the server.`;
    if (Math.abs(skew) <= skewLimit) return { state: "ok", measured };
    return { state: "warning", measured, advice: "Let the system set the time, here or on the server. Conversations count durations and work all the same; certificates and sign-in may not, and with a wrong clock on the server tokens may not." };
  },
};

/** What to do, by an error's code, where its message does not say. */
const fixes: Record<string, string> = {
  // of the issuer
  internal: "Look for the request's id in the server's log.",
  proxied_anonymous: "Open the server directly, or have it authenticate callers.",
  too_many_leases: "Each run of these checks counts as a conversation, too.",
  unauthenticated: "Sign in on this origin first: the checks show what your cookies show, and no other credential.",
  unknown_profile: "Add the profile to the server's configuration, or name another in the address: /doctor?profile=NAME.",
  upstream_refused: "On the server run livevalet check --mint, which says what the token service refuses.",
  upstream_unavailable: "Check that the server reaches the token service (with dev and without a key, the emulator), then try again.",
  // of the service
  config_refused: "Compare the profile's setup with what its model takes; on the server, livevalet check --connect tries each profile.",
  model_unavailable: "Name another model in the profile: the service does not offer this one to your key.",
  quota: "Look at the quota and the billing of the API key's project.",
  region_unsupported: "The service is not offered where this browser is.",
  timeout: "The service does not answer in time: try again later.",
};

function advised(text: unknown, code: unknown): string {
  return [text && sentence(String(text)), fixes[String(code)]].filter(Boolean).join(" ");
}

function turnedAway({ status, headers }: Response, { code, detail, requestId }: Record<string, unknown>): Finding {
  if (typeof code !== "string" || !/^[a-z_]+$/.test(code)) {
    return { state: "failed", measured: `HTTP ${status}, not the issuer's answer.`, advice: "POST /v1/token does not reach the issuer: look at what stands in front of it." };
  }
  const words = [`HTTP ${status}`, code];
  const wait = Number(headers.get("retry-after"));
  if (wait) words.push(`again after ${wait} s`);
  if (status === 500 && /^\w+$/.test(String(requestId))) words.push(`request ${requestId}`);
  return { state: "failed", measured: `${words.join(", ")}.`, advice: advised(detail, code) };
}

const mint: Check<Visit> = {
  id: "mint",
  name: "Token",
  about: "The server mints a token.",
  needs: [],
  async run(visit, signal) {
    const begun = performance.now();
    const answer = await ask("/v1/token", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ profile: visit.profile }), signal });
    const took = Math.round(performance.now() - begun);
    const body = (await answer.json().catch(() => null)) ?? {};
    if (!answer.ok || !body.websocketUrl) return turnedAway(answer, body);
    visit.grant = body;
    const measured = `${took} ms; ${body.model}; lock ${body.lock}; good for ${body.expiresIn} s.`;
    if (body.lock === "none") return { state: "warning", measured, advice: "This token leaves the whole setup to the page: set the profile's lock before others use it." };
    return { state: "ok", measured };
  },
};

const socket: Check<Visit> = {
  id: "socket",
  name: "Socket",
  about: "The service's WebSocket opens.",
  needs: ["engine", "policy", "mint"],
  limit: 45_000,
  async run(visit, signal) {
    const begun = performance.now();
    try {
      visit.session = await connect({
        token: async ({ reason }) => {
          // One token is enough: each counts against the caller's limits.
          if (reason !== "refused") return visit.grant!;
          throw new LiveValetError({ code: "config_refused", phase: "token", message: "the service refused the token", retryable: false });
        },
        config: { responseModalities: ["AUDIO"] },
        speaker: visit.sounds && { copy: true },
        signal,
      });
      visit.live = performance.now() - begun;
      visit.ear = new Ear(visit.session);
    } catch (error) {
      visit.refusal = error as LiveValetError;
      if (visit.refusal.phase === "dial") return unreached(visit);
      if (visit.refusal.phase !== "setup") return unwelcome(visit.refusal);
    }
    return { state: "ok", measured: `Open, over ${visit.service.protocol.replace(":", "")}.` };
  },
};

/** The policy's violations are told to the Worker that dialled, so the page tries, too. */
async function unreached({ service, refusal }: Visit): Promise<Finding> {
  try {
    new WebSocket(service.origin).close();
  } catch {
    // Some throw, and tell of the violation all the same.
  }
  const violations = (await forbidden()).filter((what) => what.startsWith("connect-src"));
  const measured = [broken(refusal).measured, ...violations.map((what) => `${what}.`)].join(" ");
  const advice = violations.length > 0 ? `Add ${service.origin} to connect-src in the policy of the page and of the bundle's files.` : `Let WebSockets to ${service.origin} pass the firewall and the proxies.`;
  return { state: "failed", measured, advice };
}

function unwelcome(error: LiveValetError): Finding {
  const { reason, code, message } = error;
  return { ...broken(error), advice: advised(reason ? `the answer was: ${reason}` : message, code) };
}

const setup: Check<Visit> = {
  id: "setup",
  name: "Setup",
  about: "The service accepts model and configuration.",
  needs: ["socket"],
  async run({ refusal, live }) {
    return refusal ? unwelcome(refusal) : { state: "ok", measured: `Live ${Math.round(live)} ms after connect.` };
  },
};

const echo: Check<Visit> = {
  id: "echo",
  name: "Answer",
  about: "The model answers a short text with sound.",
  needs: ["setup"],
  late: "The service took the text and says nothing: try again, or another model in the profile.",
  async run({ session }, signal) {
    const begun = performance.now();
    return new Promise((resolve, reject) => {
      const hear = ({ detail }: CustomEvent<LiveServerMessage>) => {
        if (detail.data) {
          resolve({ state: "ok", measured: `First sound ${Math.round(performance.now() - begun)} ms after the text.` });
        } else if (detail.serverContent?.turnComplete) {
          resolve({ state: "warning", measured: "An answer without sound.", advice: 'Set responseModalities to ["AUDIO"] in the profile, if it is to speak.' });
        }
      };
      session!.addEventListener("message", hear, { signal });
      session!.addEventListener("closed", ({ detail }) => reject(detail.error), { signal });
      session!.sendRealtimeInput({ text: "Say hello, in one short sentence." }).catch(reject);
    });
  },
};

const playback: Check<Visit> = {
  id: "playback",
  name: "Playback",
  about: "The answer's sound is played.",
  needs: ["worklet", "echo"],
  limit: 60_000,
  late: "Click on the page while this check runs; choose another device for sound in the system.",
  async run({ session, ear, context }, _, note) {
    const { speaker } = session!;
    const tell = () => note(speaker.blocked ? "The browser holds the sound back: click anywhere, or press a key." : "Listen.");
    speaker.addEventListener("blocked", tell);
    speaker.addEventListener("change", tell);
    tell();
    const { ms, of } = await ear!.heard;
    const samples = Math.round((ms * context.sampleRate) / 1_000);
    const measured = `${samples} samples, ${Math.round(ms)} of ${Math.round(of)} ms; peak ${decibels(ear!.peak)}; underruns ${speaker.underruns}.`;
    if (samples === 0) return { state: "failed", measured, advice: "Nothing was played: choose another device for sound in the system." };
    if (ear!.peak === 0) return { state: "warning", measured, advice: "Only silence was played: look at the volume, then run the checks again." };
    return { state: "ok", measured };
  },
};

const end: Check<Visit> = {
  id: "end",
  name: "End",
  about: "The server takes the lease of the token back.",
  needs: ["mint"],
  async run({ session, grant }, signal) {
    await session?.close();
    const { releaseUrl, leaseId } = grant!;
    const answer = await ask(releaseUrl, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ leaseId }), signal });
    if (answer.ok) return { state: "ok", measured: "The lease has ended." };
    return { state: "warning", measured: `HTTP ${answer.status}.`, advice: `Let POST ${releaseUrl} through to the issuer, and /v1/token/renew, without which conversations end early.` };
  },
};

export const serviceChecks = [clock, mint, socket, setup, echo, playback, end];
