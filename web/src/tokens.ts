// Where tokens come from. The same source runs on the page and in the Worker;
// functions of the application stay on the page.

import type { TokenReply, TokenRequest } from "./engine";
import { LiveValetError, misuse } from "./errors";
import type { ConnectOptions, TokenEndpoint, TokenNeed } from "/livevalet.js";

/** A token endpoint that can be cloned to a Worker. */
export interface Endpoint {
  /** Absolute. */
  url: string;
  credentials: RequestCredentials;
  clientReference?: string;
  headers?: Record<string, string>;
}

export interface PageEndpoint extends Omit<Endpoint, "headers"> {
  headers: () => Promise<Record<string, string>>;
}

export interface PageFunction {
  call: (need: TokenNeed) => Promise<unknown>;
}

export type TokenSpec = Endpoint | PageEndpoint | PageFunction;

/** Resolves with whatever came back; rejects if nothing did. */
export type TokenSource = (request: TokenRequest, signal: AbortSignal) => Promise<TokenReply>;

export function isCloneable(spec: TokenSpec): spec is Endpoint {
  return "url" in spec && typeof spec.headers !== "function";
}

/** Checks the option `token` of connect. */
export function tokenSpec(token: ConnectOptions["token"] = "/v1/token", base: string): TokenSpec {
  if (typeof token === "function") return { call: token };
  const endpoint: TokenEndpoint = typeof token === "string" || token instanceof URL ? { url: token } : token;
  if (typeof endpoint !== "object" || endpoint === null) throw misuse("token must be a URL, a TokenEndpoint or a function");

  const { clientReference, headers } = endpoint;
  if (clientReference !== undefined && typeof clientReference !== "string") {
    throw misuse("token.clientReference must be a string");
  }
  const spec = {
    url: absolute(endpoint.url, base),
    credentials: endpoint.credentials ?? "same-origin",
    clientReference,
  };
  if (typeof headers === "function") return { ...spec, headers };
  return { ...spec, headers: plainHeaders(headers) };
}

export function tokenSource(spec: TokenSpec): TokenSource {
  const ask = "call" in spec ? askFunction(spec) : askEndpoint(spec);
  return async (request, signal) => {
    try {
      return await ask(request, signal);
    } catch (error) {
      if (error instanceof LiveValetError && !error.retryable) return refusal(error, request);
      throw error;
    }
  };
}

/** Tells the issuer that a lease ended. Outlives the page; nobody waits for it. */
export async function release(spec: TokenSpec, url: string, leaseId: string): Promise<void> {
  try {
    if ("call" in spec) await post(url, { leaseId }, { credentials: "same-origin", keepalive: true });
    else await postTo(spec, url, { leaseId }, { keepalive: true });
  } catch {
    // The lease ends by itself, later.
  }
}

/** Releases the lease of a reply that no engine took. */
export function discard(spec: TokenSpec, reply: TokenReply): void {
  const lease = leaseOf(reply);
  if (lease) void release(spec, lease.url, lease.leaseId);
}

/** The lease that a reply grants, if one, and where to release it. */
export function leaseOf(reply: TokenReply): { url: string; leaseId: string } | undefined {
  try {
    const { leaseId, releaseUrl } = grantOf(reply);
    return leaseId && releaseUrl ? { url: new URL(releaseUrl, "base" in reply ? reply.base : undefined).href, leaseId } : undefined;
  } catch {
    return undefined; // No grant, no lease.
  }
}

/** Whether the page marks activity: what the token fixes wins over the page's setup. */
export function marksActivity(reply: TokenReply, setup: { realtimeInputConfig?: { automaticActivityDetection?: { disabled?: boolean } } }): boolean {
  const { disabled = false } = setup.realtimeInputConfig?.automaticActivityDetection ?? {};
  try {
    const { lock, allow, session } = grantOf(reply);
    const fixed = lock === "full" || (lock === "masked" && !allow?.includes("realtimeInputConfig"));
    return fixed ? session?.manualActivity === true : disabled;
  } catch {
    return disabled;
  }
}

/** What matters here of a grant. */
interface Granted {
  leaseId?: string;
  releaseUrl?: string;
  lock?: string;
  allow?: string[];
  session?: { manualActivity?: boolean };
}

function grantOf(reply: TokenReply): Granted {
  return ("grant" in reply ? reply.grant : JSON.parse(reply.body)) as Granted;
}

function askFunction({ call }: PageFunction): TokenSource {
  return async ({ reason, profile, leaseId, handle }, signal) => ({
    grant: await call({ reason, profile, leaseId, handle, signal }),
  });
}

function askEndpoint(spec: Endpoint | PageEndpoint): TokenSource {
  return async ({ reason, profile, url, leaseId, handle }, signal) => {
    const body = url === undefined ? { profile, clientReference: spec.clientReference } : { leaseId, reason, handle };
    const answer = await postTo(spec, url ?? spec.url, body, { signal });
    return {
      status: answer.status,
      body: await answer.text(),
      base: answer.url,
      retryAfter: answer.headers.get("retry-after"),
    };
  };
}

async function postTo(spec: Endpoint | PageEndpoint, url: string, body: object, init: RequestInit): Promise<Response> {
  const headers = typeof spec.headers === "function" ? plainHeaders(await spec.headers()) : spec.headers;
  return post(url, body, { ...init, headers, credentials: spec.credentials });
}

function post(url: string, body: object, init: RequestInit): Promise<Response> {
  const headers = { ...init.headers, "content-type": "application/json" };
  return fetch(url, { ...init, method: "POST", cache: "no-store", headers, body: JSON.stringify(body) });
}

/** What an issuer would say that refuses for good. */
function refusal({ code, message }: LiveValetError, { url }: TokenRequest): TokenReply {
  return { status: 403, body: JSON.stringify({ code, detail: message }), base: url ?? "", retryAfter: null };
}

function absolute(url: unknown, base: string): string {
  const text = url instanceof URL ? url.href : url;
  if (typeof text !== "string" || !URL.canParse(text, base)) throw misuse("the token endpoint's url is not a URL");
  return new URL(text, base).href;
}

/** Headers objects cannot be cloned, and bad names are better found early. */
function plainHeaders(headers: HeadersInit | undefined): Record<string, string> {
  try {
    return Object.fromEntries(new Headers(headers));
  } catch {
    throw misuse("the token endpoint's headers are not valid header names and values");
  }
}
