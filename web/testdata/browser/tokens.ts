import { LiveValetError } from "../../src/errors";
import { discard, marksActivity, isCloneable, release, tokenSource, tokenSpec } from "../../src/tokens";
import { rejection, same, test, thrown, until } from "./harness";

const start = { reason: "start", profile: "default" } as const;
const signal = () => new AbortController().signal;
const here = (path: string) => new URL(path, location.origin).href;

/** What the server saw, which /token/echo answers with. */
async function ask(token: any, request: any = start): Promise<any> {
  const reply: any = await tokenSource(tokenSpec(token, document.baseURI))(request, signal());
  return { ...reply, seen: JSON.parse(reply.body) };
}

export async function journal(): Promise<any[]> {
  return (await fetch("/token/journal", { cache: "no-store" })).json();
}

test("a token source posts JSON and gives back status, text, final URL and Retry-After", async () => {
  const { status, base, retryAfter, seen } = await ask("/token/echo");
  same([status, base, retryAfter], [200, here("/token/echo"), null]);
  same([seen.method, seen.contentType, seen.body], ["POST", "application/json", { profile: "default" }]);
});

test("a token source asks with the client's reference and the application's headers", async () => {
  const { seen } = await ask({ url: "/token/echo", clientReference: "case 7", headers: { Authorization: "Bearer abc" } });
  same([seen.authorization, seen.body], ["Bearer abc", { profile: "default", clientReference: "case 7" }]);
});

test("a token source calls a headers function for every request", async () => {
  let calls = 0;
  const spec = tokenSpec({ url: "/token/echo", headers: async () => ({ authorization: `Bearer ${++calls}` }) }, document.baseURI);
  for (const want of ["Bearer 1", "Bearer 2"]) {
    const reply: any = await tokenSource(spec)(start, signal());
    same(JSON.parse(reply.body).authorization, want);
  }
  same(isCloneable(spec), false);
});

test("a token source renews at the grant's URL, with the lease and the handle", async () => {
  const request = { reason: "renew", profile: "default", url: here("/token/renew"), leaseId: "lease-1", handle: "h" };
  const { base, seen } = await ask({ url: "/token/echo", clientReference: "case 7", headers: { authorization: "Bearer abc" } }, request);
  same([base, seen.authorization, seen.body], [here("/token/renew"), "Bearer abc", { leaseId: "lease-1", reason: "renew", handle: "h" }]);
});

test("a token source without a renewal URL asks the endpoint again", async () => {
  same((await ask("/token/echo", { ...start, reason: "refused" })).seen.body, { profile: "default" });
});

test("a token source gives back refusals like any answer", async () => {
  const { status, retryAfter, seen } = await ask("/token/busy");
  same([status, retryAfter, seen.code], [429, "7", "rate_limited"]);
});

test("a token source says where a redirect led", async () => {
  same((await ask("/token/redirect")).base, here("/token/echo"));
});

test("a token source sends cookies to its own origin by default", async () => {
  document.cookie = "who=ada; path=/";
  same((await ask("/token/echo")).seen.cookie, "who=ada");
  same((await ask({ url: "/token/echo", credentials: "omit" })).seen.cookie, "");
});

test("a token source resolves URLs against the document", async () => {
  same((tokenSpec("token/echo", "https://a.example/app/page") as any).url, "https://a.example/app/token/echo");
  same((tokenSpec(new URL("https://b.example/t"), "https://a.example/") as any).url, "https://b.example/t");
  same((tokenSpec(undefined, "https://a.example/app/") as any).url, "https://a.example/v1/token");
});

test("a token source ends with its signal", async () => {
  const abort = new AbortController();
  const asked = tokenSource(tokenSpec("/token/slow", document.baseURI))(start, abort.signal);
  await until(async () => (await journal()).some(({ path }) => path === "/token/slow"), "the request");
  abort.abort();
  same((await rejection(asked)).name, "AbortError");
});

test("a token source rejects if nobody answers", async () => {
  await rejection(tokenSource(tokenSpec("/token/hang-up", document.baseURI))(start, signal()));
});

test("a token function gets the need, and its grant comes back", async () => {
  const spec = tokenSpec(async ({ signal, ...need }) => ({ token: "t", websocketUrl: "wss://x", need }), document.baseURI);
  const want = { reason: "renew", profile: "p", leaseId: "l" } as const;
  same(await tokenSource(spec)(want, signal()), {
    grant: { token: "t", websocketUrl: "wss://x", need: want },
  });
});

test("a token function that refuses for good answers like an issuer", async () => {
  const spec = tokenSpec(async () => {
    throw new LiveValetError({ code: "unauthenticated", phase: "token", message: "sign in first", retryable: false });
  }, document.baseURI);
  const reply: any = await tokenSource(spec)(start, signal());
  same([reply.status, JSON.parse(reply.body)], [403, { code: "unauthenticated", detail: "sign in first" }]);
});

test("a token function that throws anything else gave nothing", async () => {
  const spec = tokenSpec(async () => {
    throw new Error("offline");
  }, document.baseURI);
  same((await rejection(tokenSource(spec)(start, signal()))).message, "offline");
});

for (const [what, token] of [
  ["a number", 5],
  ["null", null],
  ["a URL that is none", { url: "http://" }],
  ["no URL", { headers: {} }],
  ["a header that is none", { url: "/t", headers: { "a b": "c" } }],
  ["a reference that is no string", { url: "/t", clientReference: 7 }],
] as [string, any][]) {
  test(`a token option is checked: ${what}`, () => {
    same(thrown(() => tokenSpec(token, document.baseURI)).code, "invalid_request");
  });
}

test("a token endpoint with plain headers can be cloned", () => {
  const spec = tokenSpec({ url: "/t", headers: new Headers({ A: "b" }) as any }, document.baseURI);
  same(isCloneable(spec), true);
  same(structuredClone(spec), spec);
  same(isCloneable(tokenSpec(async () => ({ token: "", websocketUrl: "" }), "")), false);
});

test("a release tells the lease, with the caller's headers", async () => {
  await release(tokenSpec({ url: "/token/echo", headers: { authorization: "Bearer r" } }, document.baseURI), here("/token/release"), "lease-r");
  const seen = (await journal()).find(({ body }) => body?.leaseId === "lease-r");
  same([seen?.path, seen?.authorization], ["/token/release", "Bearer r"]);
});

test("a release outlives the page", async () => {
  const realFetch = fetch;
  const kept: unknown[] = [];
  globalThis.fetch = async (_, init) => (kept.push(init?.keepalive), new Response());
  try {
    await release(tokenSpec(undefined, document.baseURI), here("/token/release"), "lease-k");
    await release(tokenSpec(async () => ({ token: "", websocketUrl: "" }), document.baseURI), here("/token/release"), "lease-k");
  } finally {
    globalThis.fetch = realFetch;
  }
  same(kept, [true, true]);
});

test("a release that fails is nobody's business", async () => {
  await release(tokenSpec(undefined, document.baseURI), here("/token/hang-up"), "lease-x");
});

test("a reply that nobody took gives its lease back", async () => {
  const body = JSON.stringify({ leaseId: "lease-d", releaseUrl: "release" });
  discard(tokenSpec(undefined, document.baseURI), { status: 200, body, base: here("/token/echo"), retryAfter: null });
  await until(async () => (await journal()).some(({ path, body }) => path === "/token/release" && body.leaseId === "lease-d"), "the release");
});

for (const [what, grant, disabled, want] of [
  ["nothing is known of the token", {}, true, true],
  ["the token is open", { lock: "none", session: { manualActivity: false } }, true, true],
  ["the token leaves it to the page", { lock: "masked", allow: ["tools", "realtimeInputConfig"] }, true, true],
  ["the page wants the service to", { lock: "none", session: { manualActivity: true } }, false, false],
  ["the token says that the service does", { lock: "masked", allow: ["tools"], session: { manualActivity: false } }, true, false],
  ["the token says that the page does", { lock: "masked", session: { manualActivity: true } }, false, true],
  ["the token fixes all", { lock: "full" }, true, false],
] as const) {
  test(`who marks activity, if ${what}`, () => {
    const setup = { realtimeInputConfig: { automaticActivityDetection: { disabled } } };
    same(marksActivity({ grant }, setup), want);
    same(marksActivity({ status: 200, body: JSON.stringify(grant), base: here("/token/echo"), retryAfter: null }, setup), want);
  });
}
