// What the browser makes of the page and of its files.

import { preload } from "/livevalet.js";
import { ask, forbidden, matters } from "./ask";
import { broken, type Check, type Finding } from "./examine";
import type { Visit } from "./visit";

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
  about: "The WebAssembly file arrives, with its type, compiles while it does, and starts in a Worker.",
  needs: [],
  limit: 60_000,
  late: "The engine's file is slow to load: check the network.",
  async run(_, signal) {
    const found = await load(signal).catch(broken);
    if (found.state !== "failed" || (allowsWasm() && !(await forbidden()).some(matters))) return found;
    return { ...found, state: "warning", advice: "The page's policy forbids it: see the next check." };
  },
};

async function load(signal: AbortSignal): Promise<Finding> {
  const together = "deploy all files of the bundle together";
  const begun = performance.now();
  const answer = await ask(`/${__WASM_FILE__}`, { signal, cache: "default" });
  if (!answer.ok) return { state: "failed", measured: `HTTP ${answer.status}.`, advice: `Serve ${__WASM_FILE__} beside livevalet.js: ${together}.` };
  const form = `${answer.headers.get("content-type") ?? "no type"}, ${answer.headers.get("content-encoding") ?? "not compressed"}`;
  const rest = answer.clone();
  let how = "while it arrived";
  try {
    await WebAssembly.compileStreaming(answer);
  } catch {
    how = "after it had arrived";
    try {
      await WebAssembly.compile(await rest.arrayBuffer());
    } catch {
      return { state: "failed", measured: `${form}; does not compile.`, advice: `This is not ${__WASM_FILE__}, or not all of it: ${together}, and serve no page in place of a file.` };
    }
  }
  const measured = `${form}; compiled ${how}, ${Math.round(performance.now() - begun)} ms`;
  const stopped = await preload().then(() => undefined, broken);
  if (stopped) return { ...stopped, measured: `${measured}; the Worker did not start: ${stopped.measured}` };
  if (how !== "while it arrived") return { state: "warning", measured: `${measured}.`, advice: "Serve .wasm as application/wasm: it loads faster then." };
  return { state: "ok", measured: `${measured}; the Worker started.` };
}

const policy: Check<Visit> = {
  id: "policy",
  name: "Content policy",
  about: "The page may run WebAssembly, and nothing that was tried so far is forbidden.",
  needs: [],
  async run(_, signal) {
    const set = await ask(location.href, { method: "HEAD", signal }).then(
      ({ headers }) => (headers.has("content-security-policy") ? "A policy is set" : "No policy is set"),
      () => "The page's header could not be read",
    );
    const wasm = allowsWasm();
    const violations = await forbidden();
    const measured = `${[set, wasm ? "WebAssembly runs" : "WebAssembly is forbidden", ...violations].join("; ")}.`;
    const advice =
      "Let the page's Content-Security-Policy have script-src 'self' 'wasm-unsafe-eval', worker-src 'self', and in connect-src 'self' and the service; a proxy may have added another.";
    if (!wasm || violations.some(matters)) return { state: "failed", measured, advice };
    if (violations.length > 0) return { state: "warning", measured, advice: "The conversation does not need it; your page may." };
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
      const measured = [broken(error).measured, ...(await forbidden()).map((what) => `${what}.`)].join(" ");
      return { state: "failed", measured, advice: `Serve ${__WORKLET_FILE__} beside livevalet.js as text/javascript, and allow script-src 'self'.` };
    }
    visit.sounds = true;
    return { state: "ok", measured: `Loaded in ${Math.round(performance.now() - begun)} ms.` };
  },
};

export const pageChecks = [secure, engine, policy, worklet];
