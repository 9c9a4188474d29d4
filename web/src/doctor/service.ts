// What the server and the service do: clock, token, and one short conversation.

import { connect, type LiveServerMessage, type LiveValetError } from "/livevalet.js";
import { broken, sentence, type Check } from "./examine";
import { decibels } from "./sound";
import { Ear, type Visit } from "./visit";

/** How far apart the clocks may be, in seconds. */
const skewLimit = 30;

async function ask(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, cache: "no-store" });
  } catch {
    throw Object.assign(new Error("the server does not answer: check that it runs, and the network"), { code: "network" });
  }
}

const clock: Check<Visit> = {
  id: "clock",
  name: "Clock",
  about: "This device and the server agree on the time.",
  needs: [],
  async run(visit, signal) {
    const begun = Date.now();
    const answer = await ask("/version", { signal });
    const here = (begun + Date.now()) / 2;
    visit.server = await answer.json().catch(() => undefined);
    const there = Date.parse(answer.headers.get("date") ?? "");
    if (Number.isNaN(there)) return { state: "warning", measured: "The server's answer has no date.", advice: "Let the proxy in front of the server keep the header Date." };
    const skew = (here - there - 500) / 1_000; // the header has whole seconds
    const measured = `This device is ${Math.abs(skew) < 1 ? "within 1 s of" : `${Math.abs(skew).toFixed(0)} s ${skew < 0 ? "behind" : "ahead of"}`} the server.`;
    if (Math.abs(skew) <= skewLimit) return { state: "ok", measured };
    return { state: "warning", measured, advice: "Let the system set the time, here or on the server. Conversations count durations and work all the same; certificates and sign-in may not, and with a wrong clock on the server tokens may not." };
  },
};

/** What the issuer's own words leave open. */
const refusals: Record<string, string> = {
  proxied_anonymous: "Open the server directly, or have it authenticate callers.",
  unauthenticated: "Sign in on this origin first: the checks show what your cookies show, and no other credential.",
  unknown_profile: "Add the profile to the server's configuration, or name another in the address: /doctor?profile=NAME.",
  upstream_refused: "On the server run livevalet check, which tries the profile and the API key.",
  upstream_unavailable: "Check that the server reaches the token service (with dev and without a key, the emulator), then try again.",
};

const mint: Check<Visit> = {
  id: "mint",
  name: "Token",
  about: "The server mints a token, and takes its lease back.",
  needs: [],
  async run(visit, signal) {
    const begun = performance.now();
    const answer = await ask("/v1/token", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ profile: visit.profile }), signal });
    const took = Math.round(performance.now() - begun);
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      if (!/^[a-z_]+$/.test(body.code)) {
        return { state: "failed", measured: `HTTP ${answer.status}.`, advice: "The answer is not the issuer's: look at what stands in front of it." };
      }
      return { state: "failed", measured: `HTTP ${answer.status}, ${body.code}.`, advice: `${sentence(body.detail)} ${refusals[body.code] ?? ""}`.trim() };
    }
    const { leaseId, releaseUrl, websocketUrl, lock, model, expiresIn } = body;
    visit.scheme = new URL(websocketUrl).protocol.replace(":", "");
    const released = await ask(new URL(releaseUrl, answer.url).href, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ leaseId }),
      signal,
    });
    const measured = `${took} ms; ${model}; lock ${lock}; good for ${expiresIn} s; ${released.ok ? "lease released" : `lease not released: HTTP ${released.status}`}.`;
    if (!released.ok) return { state: "warning", measured, advice: "The lease ends by itself, but later: let POST /v1/token/release through to the server." };
    if (lock === "none") return { state: "warning", measured, advice: "This token leaves the whole setup to the page: set the profile's lock before others use it." };
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
      visit.session = await connect({ profile: visit.profile, config: { responseModalities: ["AUDIO"] }, speaker: visit.sounds && { copy: true }, signal });
      visit.live = performance.now() - begun;
      visit.ear = new Ear(visit.session);
    } catch (error) {
      visit.refusal = error as LiveValetError;
      if (visit.refusal.phase !== "setup") {
        const dialled = visit.refusal.phase === "dial";
        return dialled ? { ...broken(error), advice: "Let WebSockets pass the firewall and the proxies, and allow the service's address in connect-src." } : broken(error);
      }
    }
    return { state: "ok", measured: `Open, over ${visit.scheme}.` };
  },
};

const setup: Check<Visit> = {
  id: "setup",
  name: "Setup",
  about: "The service accepts model and configuration.",
  needs: ["socket"],
  async run({ refusal, live }) {
    return refusal ? broken(refusal) : { state: "ok", measured: `Live ${Math.round(live)} ms after connect, its token included.` };
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

export const serviceChecks = [clock, mint, socket, setup, echo, playback];
