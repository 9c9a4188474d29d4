// What the browser makes of the page and of its files.

import { preload } from "/livevalet.js";
import { broken, type Check } from "./examine";
import { forbidden, type Visit } from "./visit";

const secure: Check<Visit> = {
  id: "secure",
  name: "Secure context",
  about: "Browsers give microphones and worklets to secure pages only.",
  needs: [],
  async run() {
    const measured = `${location.protocol.replace(":", "")}, ${isSecureContext ? "secure" : "not secure"}.`;
    if (isSecureContext) return { state: "ok", measured };
    return { state: "failed", measured, advice: "Serve the page over HTTPS, or open it on its own machine as http://localhost." };
  },
};

/** The smallest module that there is. */
const tiny = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

function allowsWasm(): boolean {
  try {
    return new WebAssembly.Module(tiny) instanceof WebAssembly.Module;
  } catch {
    return false;
  }
}

const engine: Check<Visit> = {
  id: "engine",
  name: "Engine",
  about: "The WebAssembly file arrives, with its type, and compiles while it does.",
  needs: [],
  limit: 60_000,
  late: "The engine's file is slow to load: check the network.",
  async run(_, signal) {
    const url = new URL(`/${__WASM_FILE__}`, location.href).href;
    const begun = performance.now();
    const answer = await fetch(url, { signal });
    const type = answer.headers.get("content-type") ?? "no type";
    if (!answer.ok) {
      return { state: "failed", measured: `HTTP ${answer.status}.`, advice: `Serve ${__WASM_FILE__} beside livevalet.js: deploy all files of the bundle together.` };
    }
    const encoding = answer.headers.get("content-encoding") ?? "not compressed";
    if (!allowsWasm()) {
      return { state: "warning", measured: `${type}, ${encoding}; not compiled.`, advice: "The page may not compile WebAssembly: see the next check." };
    }
    const rest = answer.clone();
    let streamed = true;
    try {
      await WebAssembly.compileStreaming(answer);
    } catch {
      streamed = false;
      await WebAssembly.compile(await rest.arrayBuffer());
    }
    const took = Math.round(performance.now() - begun);
    const measured = `${type}, ${encoding}; compiled ${streamed ? "while it arrived" : "after it had arrived"}, ${took} ms.`;
    if (!streamed) return { state: "warning", measured, advice: "Serve .wasm as application/wasm: it loads faster then." };
    return { state: "ok", measured };
  },
};

const policy: Check<Visit> = {
  id: "policy",
  name: "Content policy",
  about: "The page may run WebAssembly and start a Worker, and nothing was forbidden.",
  needs: ["engine"],
  limit: 60_000,
  async run(_, signal) {
    const header = (await fetch(location.href, { method: "HEAD", cache: "no-store", signal })).headers.get("content-security-policy");
    const wasm = allowsWasm();
    const worker = await preload().then(() => undefined, broken);
    const measured = [
      header ? "A policy is set" : "No policy is set",
      wasm ? "WebAssembly runs" : "WebAssembly is forbidden",
      worker ? `the Worker did not start: ${worker.measured}` : "the Worker started.",
      ...forbidden().map((what) => `${what}.`),
    ].join("; ");
    const advice = "Let the page's Content-Security-Policy have script-src 'self' 'wasm-unsafe-eval' and worker-src 'self'; a proxy may have added another.";
    if (!wasm || forbidden().length > 0) return { state: "failed", measured, advice };
    if (worker) return { ...worker, measured };
    return { state: "ok", measured };
  },
};

const worklet: Check<Visit> = {
  id: "worklet",
  name: "Audio worklets",
  about: "The file for the audio thread loads.",
  needs: ["secure"],
  async run(visit) {
    const begun = performance.now();
    try {
      await visit.context.audioWorklet.addModule(`/${__WORKLET_FILE__}`);
    } catch (error) {
      return { ...broken(error), advice: `Serve ${__WORKLET_FILE__} beside livevalet.js as text/javascript, and allow script-src 'self'.` };
    }
    visit.sounds = true;
    return { state: "ok", measured: `Loaded in ${Math.round(performance.now() - begun)} ms.` };
  },
};

export const pageChecks = [secure, engine, policy, worklet];
